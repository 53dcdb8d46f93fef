import GGUF
import PropertyTesting

extension Declaration.Domain {
    /// Draws a value of the fuzz domain, or recovers the choices of one that is valid.
    ///
    /// Whatever is valid has choices: what the fuzz domain lacks is an escape. Integers are written as `uint32` and
    /// reals as `float32`, whichever types a target has, and of labels their number is kept.
    /// - Parameters:
    ///   - target: the value, where it is given; `validate` accepts it.
    /// - Throws: `Unreachable`, `MetadataError`.
    func draw(
        _ choices: inout Choices, _ key: String, like target: MetadataValue? = nil
    ) throws -> MetadataValue {
        switch self {
        case .integer(let valid, let fuzz):
            return .uint32(UInt32(try choices.element(
                of: fuzz, or: .integers(in: valid), like: target?.integer(key),
                weight: { Self.weight($0) })))
        case .real(let valid, let fuzz):
            let numbers = Float(valid.lowerBound)...Float(valid.upperBound)
            return .float32(try choices.element(
                of: fuzz.map { Float($0) }, or: .numbers(in: numbers), like: target.map { Float(try $0.real(key)) }))
        case .boolean(let allowed):
            return .bool(try choices.element(of: allowed, like: target?.boolean(key)))
        case .option(let options):
            return .uint32(UInt32(try choices.element(of: options.map(\.value), like: target?.integer(key))))
        case .text(let options):
            return .string(try choices.element(of: options, like: target?.string))
        case .information: throw Unreachable(key)
        case .labels(let counts):
            let count = try choices.element(of: counts, or: .integers(in: 1...(1 << 16)), like: target?.array?.count)
            return .array(.string((0..<count).map { "label \($0)" }))
        case .pattern(let valid, let fuzz, let count):
            guard choices.boolean(like: target.map { $0.array != nil }) else {
                return try Self.integer(valid: valid, fuzz: fuzz).draw(&choices, key, like: target)
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
                ? try Self.perLayer(domain, count: count).draw(&choices, key, like: target)
                : .array(layouts[index])
        case .perLayer(let domain, let count):
            // Flags are always an array, in files as here: one flag for all layers would be a number of layers.
            if case .boolean = domain {
                return try domain.drawLayers(&choices, key, count, like: target)
            }
            return choices.boolean(like: target.map { $0.array != nil })
                ? try domain.drawLayers(&choices, key, count, like: target)
                : try domain.draw(&choices, key, like: target)
        }
    }

    /// How often a toy has a size: what is beyond a few tiles costs most of the time and seldom shows more. The block of
    /// k-quants does.
    private static func weight(_ size: Int) -> Int { size <= 96 ? 6 : size == 256 ? 3 : 1 }

    private func drawLayers(
        _ choices: inout Choices, _ key: String, _ count: Int, like target: MetadataValue?
    ) throws -> MetadataValue {
        let targets = target.map { $0.elements ?? Array(repeating: $0, count: count) }
        let values = try (0..<count).map { layer in
            try choices.span("layer") { try draw(&$0, key, like: targets?[layer]) }
        }
        return try MetadataArray(values).map(MetadataValue.array) ?? draw(&choices, key, like: target)
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
