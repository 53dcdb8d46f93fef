import GGUF
import PropertyTesting

/// Draws metadata: each hyperparameter from its fuzz domain.
public struct MetadataDrawer: Hyperparameters {
    public private(set) var metadata: Metadata
    public var choices: Choices
    public let architecture: String

    public init(architecture: String, choices: Choices) {
        self.architecture = architecture
        self.choices = choices
        metadata = Metadata()
        metadata["general.architecture"] = .string(architecture)
        metadata["tokenizer.ggml.model"] = .string("no_vocab")
    }

    public mutating func value(of declaration: Declaration) throws -> MetadataValue? {
        // A span a key: lowering one does not shift the choices of the others.
        choices.beginSpan(declaration.key)
        defer { choices.endSpan() }
        if declaration.absence != nil, declaration.drawsAbsence, !choices.boolean() { return nil }
        let value = draw(declaration.domain)
        metadata[Declaration.path(declaration.key, architecture)] = value
        return value
    }

    /// Only valid metadata is ever drawn: a contradiction is a defect of the architecture's domains.
    public mutating func contradiction(_ error: MetadataError) throws {
        throw MetadataError(keys: error.keys, reason: "drawn, but contradictory: \(error.reason)")
    }

    private mutating func draw(_ domain: Declaration.Domain) -> MetadataValue {
        switch domain {
        case .integer(_, let fuzz): .uint32(UInt32(choices.element(of: fuzz)))
        case .real(_, let fuzz): .float32(Float(choices.element(of: fuzz)))
        case .boolean(let allowed): .bool(choices.element(of: allowed))
        case .option(let options): .uint32(UInt32(choices.element(of: options).value))
        case .text(let options): .string(choices.element(of: options))
        case .labels(let counts): .array(.string((0..<choices.element(of: counts)).map { "label \($0)" }))
        case .pattern(_, let fuzz, let count):
            choices.boolean() ? flags(count) : .uint32(UInt32(choices.element(of: fuzz)))
        case .layouts(let layouts, _, _): .array(choices.element(of: layouts))
        case .perLayer(let domain, let count):
            // Flags are always an array, in files as here: one flag for all layers would be a number of layers.
            if case .boolean = domain { layers(domain, count) } else if choices.boolean() { layers(domain, count) } else { draw(domain) }
        }
    }

    /// A flag a layer, of which one at least is set: a pattern of nothing is another kind of model.
    private mutating func flags(_ count: Int) -> MetadataValue {
        let certain = choices.integer(in: 0...(count - 1))
        return .array(.bool((0..<count).map { choices.boolean() || $0 == certain }))
    }

    private mutating func layers(_ domain: Declaration.Domain, _ count: Int) -> MetadataValue {
        let values = (0..<count).map { _ in
            choices.beginSpan("layer")
            defer { choices.endSpan() }
            return draw(domain)
        }
        return MetadataArray(values).map(MetadataValue.array) ?? draw(domain)
    }
}
