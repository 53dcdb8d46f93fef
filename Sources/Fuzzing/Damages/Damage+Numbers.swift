import GGUF

/// Numbers of the header that say something else than what is there.
extension Damage.Declaration {
    /// A number as it is.
    struct Number {
        let layout: DraftLayout
        let place: Damage.Place
        let value: UInt64
        /// In bytes.
        let width: Int

        init?(_ kind: Damage.Kind, _ place: Damage.Place, _ layout: DraftLayout) {
            guard let number = layout.number(.init(kind: kind, place: place)) else { return nil }
            (value, width) = number
            self.layout = layout
            self.place = place
        }

        /// Numbers beside it, and the limits of those of its width.
        var neighbours: [UInt64] {
            let greatest = UInt64.max >> UInt64(64 - 8 * width)
            // With 1 << 61, sizes of 8 bytes each come to nothing.
            return [
                value &+ 1, value &- 1, 0, value &* 2, greatest, greatest / 2, greatest / 2 + 1, 1 << 32, 1 << 61,
            ].map { $0 & greatest }
        }
    }

    /// - Parameters:
    ///   - kind: a number of the header.
    ///   - words: before what it is of.
    ///   - values: what it is made.
    ///   - meaning: of the file; by itself, whoever reads on after a wrong length or count reads something else, and
    ///     never the names of all tensors.
    static func number(
        _ kind: Damage.Kind, _ words: String, _ values: @escaping (Number) -> [UInt64] = \.neighbours,
        meaning: @escaping (Number, _ new: UInt64) -> Damage.Meaning = { _, _ in .nothing }
    ) -> Self {
        Self(
            words: words, stage: .numbers, places: { .listed($0.places[kind] ?? []) },
            values: { layout, place in
                guard let number = Number(kind, place, layout) else { return [] }
                return values(number).uniqued.filter { $0 != number.value }.map { .uint64($0) }
            },
            meaning: { layout, damage in
                guard let number = Number(kind, damage.place, layout), case .uint64(let new)? = damage.value else {
                    return .anything
                }
                return meaning(number, new)
            },
            apply: { draft, damage in
                guard case .uint64(let new)? = damage.value else { return }
                draft.overrides.append(.init(field: .init(kind: kind, place: damage.place), value: new))
            })
    }

    /// The first byte of a text becomes one that no text begins with.
    static func firstByte(_ kind: Damage.Kind, _ words: String, _ meaning: Damage.Meaning = .anything) -> Self {
        number(kind, words, { _ in [0xFF, 0, 0x0A] }) { _, _ in meaning }
    }

    static var magic: Self {
        // `GGML`, and `GGUF` backwards.
        number(.magic, "magic", { _ in [0, 0x4C4D_4747, 0x4747_5546] })
    }

    static var version: Self {
        let values = [0, 1] + Header.versions + [4, .max, Header.versions.upperBound.byteSwapped]
        return number(.version, "version", { _ in values.map(UInt64.init) }) { _, new in
            Header.versions.contains(UInt32(truncatingIfNeeded: new)) ? .same : .nothing
        }
    }

    static var tensorCount: Self {
        // Where a tensor less is read, the data may begin elsewhere, in a file that is whole.
        number(.tensorCount, "tensor count", meaning: { $1 > $0.value || $1 == 0 ? .nothing : .anything })
    }

    /// The type of a value, or of the elements of an array.
    static func typeOfMetadata(_ kind: Damage.Kind, _ words: String) -> Self {
        let values = Array(0...UInt64(MetadataValue.Kind.allCases.count)) + [255, UInt64(UInt32.max)]
        return number(kind, words, { _ in values }) { number, new in
            func byteCount(_ number: UInt64) -> Int? {
                MetadataValue.Kind(rawValue: UInt32(truncatingIfNeeded: number)).flatMap(\.byteCount)
            }
            let elements = number.layout.number(.init(kind: .elementCount, place: number.place))
            if kind == .elementType, elements?.value == 0 { return .anything }
            // What takes another number of bytes is like a wrong length.
            let old = byteCount(number.value)
            return old != nil && old == byteCount(new) ? .anything : .nothing
        }
    }

    static var tensorType: Self {
        let greatest = UInt64(TensorType.allCases.map(\.rawValue).max() ?? 0)
        let values = Array(0...greatest + 1) + [99, UInt64(UInt32.max)]
        return number(.tensorType, "type of", { _ in values }) { _, new in
            TensorType(rawValue: UInt32(truncatingIfNeeded: new)) == nil ? .nothing : .anything
        }
    }

    static var offset: Self {
        number(.offset, "offset of", { number in
            let alignment = UInt64(number.layout.draft.alignment)
            return number.neighbours + [number.value &+ alignment, number.value &- alignment]
        })
    }
}

extension MetadataValue.Kind {
    /// Of a value; nil where that varies.
    fileprivate var byteCount: Int? { self == .string || self == .array ? nil : minimumByteCount }
}

extension Array where Element: Hashable {
    /// Each once, in the order of the first.
    var uniqued: [Element] {
        var seen: Set<Element> = []
        return filter { seen.insert($0).inserted }
    }
}
