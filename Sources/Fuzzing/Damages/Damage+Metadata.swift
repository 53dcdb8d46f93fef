import GGUF

/// Other metadata, in a file that is whole.
extension Damage.Declaration {
    /// A change of what a file has.
    static func structure(
        _ words: String, _ places: @escaping (DraftLayout) -> [Damage.Place] = { _ in [.file] },
        values: @escaping (DraftLayout, Damage.Place) -> [MetadataValue?] = { _, _ in [nil] },
        meaning: @escaping (DraftLayout, Damage) -> Damage.Meaning,
        apply: @escaping (inout FileDraft, Damage) -> Void
    ) -> Self {
        Self(
            words: words, stage: .structure, places: { .listed(places($0)) }, values: values, meaning: meaning,
            apply: apply)
    }

    private static func ofKeys(
        _ words: String, values: @escaping (MetadataValue) -> [MetadataValue?] = { _ in [nil] },
        meaning: @escaping (_ old: MetadataValue, _ new: MetadataValue?) -> Damage.Meaning,
        apply: @escaping (inout FileDraft, FileDraft.Key, MetadataValue?) -> Void
    ) -> Self {
        func key(_ draft: FileDraft, _ place: Damage.Place) -> FileDraft.Key? {
            draft.keys.first { $0.name == place.subject }
        }
        return structure(
            words, { $0.draft.keys.map { Damage.Place($0.name) } },
            values: { layout, place in key(layout.draft, place).map { values($0.value) } ?? [] },
            meaning: { layout, damage in
                key(layout.draft, damage.place).map { meaning($0.value, damage.value) } ?? .anything
            },
            apply: { draft, damage in
                if let key = key(draft, damage.place) { apply(&draft, key, damage.value) }
            })
    }

    static var keyMissing: Self {
        ofKeys("without", meaning: { _, _ in .anything }) { draft, key, _ in draft[key: key.name] = nil }
    }

    static var keyTwice: Self {
        ofKeys("twice", meaning: { _, _ in .nothing }) { draft, key, _ in draft.keys.append(key) }
    }

    static var keysReversed: Self {
        structure("keys from the last to the first", meaning: { _, _ in .same }) { draft, _ in draft.keys.reverse() }
    }

    // MARK: Another key

    private static let plainKey = "extra.key"
    /// Readers have a limit, or a stack that ends.
    private static let greatestDepth = 8

    private static func nested(_ depth: Int) -> MetadataValue {
        .array((1..<depth).reduce(.uint8([])) { array, _ in .array([array]) })
    }

    static var keyAdded: Self {
        let shallow: [MetadataValue] = [
            true, .uint8(1), .int64(-1), .float64(.nan), "", .string(String(repeating: "x", count: 1000)),
            .array(.uint8([])), .array(.string([])), .array(.bool([true, false])), nested(2), nested(greatestDepth),
        ]
        let values = shallow + [nested(greatestDepth + 1), nested(100)]
        let names = [
            plainKey, "", String(repeating: "x", count: 100), "ключ", "general.file_type",
            "general.quantization_version",
        ]
        return structure(
            "with key", { layout in names.filter { layout.draft[key: $0] == nil }.map { Damage.Place($0) } },
            values: { _, _ in values },
            meaning: { _, damage in
                damage.subject == plainKey && damage.value.map(shallow.contains) ?? false ? .same : .sameOrNothing
            },
            apply: { draft, damage in
                if let name = damage.subject, let value = damage.value {
                    draft.keys.append(.init(name: name, value: value))
                }
            })
    }

    // MARK: Another type

    static var valueOfOtherType: Self {
        ofKeys(
            "as another type", values: { $0.ofSameMeaning + $0.ofOtherMeaning },
            meaning: { old, new in
                new.map(old.ofSameMeaning.contains) ?? false ? .sameOrNothing : .anything
            },
            apply: { draft, key, value in draft[key: key.name] = value })
    }

    // MARK: Another value

    static var otherValue: Self {
        ofKeys("other value of", values: \.others, meaning: { _, _ in .anything }) { draft, key, value in
            draft[key: key.name] = value
        }
    }

    /// Keys by which a file says that it is a part of a model.
    static var split: Self {
        let (count, number) = ("split.count", "split.no")
        let keys = [count, number, "split.tensors.count"]
        let values: [MetadataValue] = [.uint16(2), .uint16(0), .uint16(.max), .int32(-1), .uint32(.max), "x"]
        return structure(
            "a part by", { _ in keys.map { Damage.Place($0) } }, values: { _, _ in values },
            meaning: { _, _ in .sameOrNothing },
            apply: { draft, damage in
                draft[key: number] = .uint16(0)
                draft[key: count] = .uint16(2)
                damage.subject.map { draft[key: $0] = damage.value }
            })
    }

    // MARK: Alignment

    static var alignment: Self {
        let legal = [64, 8, 16, 128, 4096] as [UInt32]
        // Multiples of 8, as the specification says, or powers of two, as readers do.
        let disputed = [24, 40, 1, 2, 4] as [UInt32]
        let illegal = [0, 3, 33, 1 << 31, .max] as [UInt32]
        let otherTypes: [MetadataValue] = [.uint64(32), .int32(32), "32"]
        return structure(
            "alignment", values: { _, _ in (legal + disputed + illegal).map { .uint32($0) } + otherTypes },
            meaning: { _, damage in
                guard case .uint32(let alignment)? = damage.value else { return .nothing }
                return legal.contains(alignment) ? .same : disputed.contains(alignment) ? .sameOrNothing : .nothing
            },
            apply: { draft, damage in
                draft[key: Header.alignmentKey] = damage.value
                // Of others, there is no file that has them.
                if case .uint32(let alignment)? = damage.value, (legal + disputed).contains(alignment) {
                    draft.alignment = Int(alignment)
                }
            })
    }
}

extension MetadataValue {
    /// The same in another type, as some readers take it.
    fileprivate var ofSameMeaning: [MetadataValue] {
        switch self {
        case .float32(let number): [.float64(Double(number))]
        case .array(let array):
            array.isEmpty || array[0].integer == nil ? [] : [
                .array(.int64(array.elements.compactMap { $0.integer.map(Int64.init) }))
            ].filter { $0 != self }
        default: integer.map { number in
            let wide: [MetadataValue] = [.int64(Int64(number))]
                + (UInt32(exactly: number).map { [.uint32($0)] } ?? [])
                + (UInt64(exactly: number).map { [.uint64($0)] } ?? [])
            let narrow: [MetadataValue] = (Int32(exactly: number).map { [.int32($0)] } ?? [])
                + (UInt8(exactly: number).map { [.uint8($0)] } ?? [])
            return (wide + narrow).filter { $0 != self }
        } ?? []
        }
    }

    /// Of the same type: of numbers those beside it and the limits, of an array another first element.
    fileprivate var others: [MetadataValue] {
        func integers<Number: FixedWidthInteger>(_ number: Number) -> [Number] {
            [number &+ 1, number &- 1, 0, number &* 2, .max, .min].uniqued.filter { $0 != number }
        }
        let others: [MetadataValue] = switch self {
        case .uint8(let number): integers(number).map { .uint8($0) }
        case .int8(let number): integers(number).map { .int8($0) }
        case .uint16(let number): integers(number).map { .uint16($0) }
        case .int16(let number): integers(number).map { .int16($0) }
        case .uint32(let number): integers(number).map { .uint32($0) }
        case .int32(let number): integers(number).map { .int32($0) }
        case .uint64(let number): integers(number).map { .uint64($0) }
        case .int64(let number): integers(number).map { .int64($0) }
        case .float32: [0, -1, .nan, .infinity, .greatestFiniteMagnitude].map { .float32($0) }
        case .float64: [0, -1, .nan, .infinity, .greatestFiniteMagnitude].map { .float64($0) }
        case .bool(let flag): [.bool(!flag)]
        case .string: ["", "x"]
        case .array(let array):
            (array.isEmpty ? [] : array[0].others).compactMap { first in
                MetadataArray([first] + array.elements.dropFirst()).map { .array($0) }
            }
        }
        return others.filter { $0 != self }
    }

    /// Of another type, or an array of another length.
    fileprivate var ofOtherMeaning: [MetadataValue] {
        switch self {
        case .array(let array):
            [.uint32(1), "x", .array(.string(["x"])), .array(.float32([1])), .array(.array([array]))]
                + (MetadataArray(array.elements.dropLast()).map { [.array($0)] } ?? [])
                + (MetadataArray(array.elements + array.elements.suffix(1)).map { [.array($0)] } ?? [])
        case .string(let text): [.uint32(1), true, .array(.string([text]))]
        case .bool: [.uint8(1), "true", .float32(1), .array(.bool([true]))]
        default: [
            "3", true, integer == nil ? .uint32(3) : .float32(3), .array(.uint32([1, 2])), .array(.float32([])),
        ]
        }
    }
}
