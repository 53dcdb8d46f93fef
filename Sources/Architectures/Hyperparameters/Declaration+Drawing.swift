import GGUF
import PropertyTesting

extension Declaration.Domain {
    /// Draws a value of the fuzz domain, or recovers the choices of one that is valid.
    ///
    /// Whatever is valid has choices: what the fuzz domain lacks is an escape. Integers are written as `uint32` and
    /// reals as `float32`, whichever types a target has, and of labels their number is kept.
    /// - Parameters:
    ///   - target: the value, where it is given; `validate` accepts it.
    ///   - drawn: the values that are drawn; nil: all.
    /// - Throws: `Unreachable`; `MetadataError` for a target that has no valid value, and where there is nothing to
    ///   draw.
    func draw(
        _ choices: inout Choices, _ key: String, like target: MetadataValue? = nil,
        from drawn: [ModelDomain.Value]? = nil
    ) throws -> MetadataValue {
        /// Those that are drawn, then those that only a target has.
        func ordered<Element>(_ all: [Element], _ value: (Element) -> MetadataValue) -> [(Element, isDrawn: Bool)] {
            guard let drawn else { return all.map { ($0, true) } }
            let flagged = all.map { element in (element, isDrawn: drawn.contains { $0.isValue(value(element)) }) }
            return flagged.filter(\.isDrawn) + flagged.filter { !$0.isDrawn }
        }
        guard !isEmpty else {
            throw MetadataError(keys: [key], reason: "has a domain without a value that could be drawn")
        }
        func isDrawn(_ value: MetadataValue) -> Bool { drawn.map { $0.contains { $0.isValue(value) } } ?? true }
        switch self {
        case .integer(let valid, let fuzz):
            return .uint32(UInt32(try choices.element(
                of: ordered(fuzz) { .uint32(UInt32($0)) }.map(\.0), or: .integers(in: valid),
                like: target?.integer(key),
                weight: { isDrawn(.uint32(UInt32($0))) ? Self.weight($0) : 0 })))
        case .real(let valid, let fuzz):
            let numbers = Float(valid.lowerBound)...Float(valid.upperBound)
            return .float32(try choices.element(
                of: ordered(fuzz) { .float64($0) }.map { Float($0.0) }, or: .numbers(in: numbers),
                like: target.map { Float(try $0.real(key)) }, weight: { isDrawn(.float32($0)) ? 1 : 0 }))
        case .boolean(let allowed):
            return .bool(try choices.weighted(
                ordered(allowed) { .bool($0) }.map { ($0.0, $0.isDrawn ? 1 : 0) }, like: target?.boolean(key)))
        case .option(let options):
            return .uint32(UInt32(try choices.weighted(
                ordered(options.map(\.value)) { .uint32(UInt32($0)) }.map { ($0.0, $0.isDrawn ? 1 : 0) },
                like: target?.integer(key))))
        case .text(let options):
            return .string(try choices.weighted(
                ordered(options) { .string($0) }.map { ($0.0, $0.isDrawn ? 1 : 0) }, like: target?.string))
        case .information: throw Unreachable(key)
        case .labels(let counts, let areNames):
            let count = try choices.element(of: counts, or: .integers(in: 1...(1 << 16)), like: target?.array?.count)
            return .array(
                areNames ? .string((0..<count).map { "label \($0)" }) : .uint32((0..<count).map { UInt32($0) }))
        case .pattern(let valid, let fuzz, let count):
            guard choices.boolean(like: target.map { $0.array != nil }) else {
                return try Self.integer(valid: valid, fuzz: fuzz).draw(&choices, key, like: target, from: drawn)
            }
            guard case .flags(let flags)? = try target?.pattern(key, count: count) else {
                return try Self.flags(&choices, count)
            }
            return try Self.flags(&choices, count, like: flags)
        case .layouts(let layouts, let domain, let count):
            let another = layouts.count
            let layout = try target.map { try layouts.firstIndex(of: domain.array($0, key, count: count)) ?? another }
            let index = try choices.element(
                of: Array(layouts.indices), or: .integers(in: another...another), like: layout)
            return index == another
                ? try Self.perLayer(domain, count: count).draw(
                    &choices, key,
                    like: target.map { $0.array == nil ? $0 : .array(try domain.array($0, key, count: count)) })
                : .array(layouts[index])
        case .perLayer(let domain, let count):
            // Flags are always an array, in files as here: one flag for all layers would be a number of layers.
            if case .boolean = domain {
                return try domain.drawLayers(&choices, key, count, like: target, from: drawn)
            }
            return choices.boolean(like: target.map { $0.array != nil })
                ? try domain.drawLayers(&choices, key, count, like: target, from: drawn)
                : try domain.draw(&choices, key, like: target, from: drawn)
        }
    }

    /// Whether it lists nothing to draw from: what an architecture filters may leave nothing.
    private var isEmpty: Bool {
        switch self {
        case .integer(_, let fuzz): fuzz.isEmpty
        case .real(_, let fuzz): fuzz.isEmpty
        case .boolean(let allowed): allowed.isEmpty
        case .option(let options): options.isEmpty
        case .text(let options): options.isEmpty
        case .labels(let counts, _): counts.isEmpty
        case .pattern(_, let fuzz, let count): fuzz.isEmpty || count < 1
        case .layouts(let layouts, _, _): layouts.isEmpty
        case .perLayer(let domain, _): domain.isEmpty
        case .information: false
        }
    }

    /// How often a toy has a size: what is beyond a few tiles costs most of the time and seldom shows more. The block
    /// of k-quants does.
    private static func weight(_ size: Int) -> Int { size <= 96 ? 6 : size == 256 ? 3 : 1 }

    private func drawLayers(
        _ choices: inout Choices, _ key: String, _ count: Int, like target: MetadataValue?,
        from drawn: [ModelDomain.Value]?
    ) throws -> MetadataValue {
        let targets = target.map { $0.elements ?? Array(repeating: $0, count: count) }
        let values = try (0..<count).map { layer in
            try choices.span("layer") { try draw(&$0, key, like: targets?[layer], from: drawn) }
        }
        return try MetadataArray(values).map(MetadataValue.array) ?? draw(&choices, key, like: target, from: drawn)
    }

    /// A flag a layer, of which one at least is set: a pattern of nothing is another kind of model, and an escape.
    private static func flags(
        _ choices: inout Choices, _ count: Int, like target: [Bool]? = nil
    ) throws -> MetadataValue {
        let none = count
        let certain = try choices.element(
            of: Array(0..<count), or: .integers(in: none...none), like: target.map { $0.firstIndex(of: true) ?? none })
        return .array(.bool((0..<count).map { layer in
            choices.boolean(like: target.map { $0[layer] && layer != certain }) || layer == certain
        }))
    }

    /// One value a layer, as layouts have them.
    private func array(_ value: MetadataValue, _ key: String, count: Int) throws -> MetadataArray {
        if case .boolean = self { return .bool(try value.flags(key, count: count)) }
        return .uint32(try value.integers(key, count: count).map { UInt32($0) })
    }
}
