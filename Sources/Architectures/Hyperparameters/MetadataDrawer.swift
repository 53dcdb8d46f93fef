import GGUF
import PropertyTesting

/// Draws metadata: each hyperparameter from its fuzz domain. Given metadata to draw alike, recovers its choices.
///
/// What is recovered holds the hyperparameters that are asked for, and no other keys of the target.
public struct MetadataDrawer: Hyperparameters {
    public private(set) var metadata: Metadata
    public var choices: Choices
    public let architecture: String
    private var target: MetadataReader?
    private let domain: ModelDomain?
    /// How many of four keys vary; the others are as simple as they can be.
    private let density: Int

    /// - Parameters:
    ///   - target: metadata to draw alike; what is drawn does not depend on the source of the choices then.
    ///   - domain: of the models that are drawn; nil: all.
    public init(
        architecture: String, choices: Choices, like target: Metadata? = nil, within domain: ModelDomain? = nil
    ) {
        self.architecture = architecture
        self.domain = domain
        var choices = choices
        density = choices.swarmDensity()
        self.choices = choices
        self.target = target.map { MetadataReader($0, architecture: architecture) }
        metadata = Metadata()
        metadata["general.architecture"] = .string(architecture)
        metadata["tokenizer.ggml.model"] = .string("no_vocab")
    }

    /// - Throws: `MetadataError` where the target has no valid value, or one that no choices draw.
    public mutating func value(of declaration: Declaration) throws -> MetadataValue? {
        if case .information = declaration.domain { return nil }
        let key = Declaration.path(declaration.key, architecture)
        let declaration = try domain?.values(of: key).map(declaration.drawn) ?? declaration
        let given = try target?.value(of: declaration)
        // A span a key: lowering one does not shift the choices of the others.
        choices.beginSpan(declaration.key)
        choices.isCalm = declaration.isRare ? !choices.chance(1, in: 24) : !choices.chance(density, in: 4)
        defer {
            choices.isCalm = false
            choices.endSpan()
        }
        if declaration.absence != nil {
            guard isPresent(declaration, like: target.map { _ in given != nil }) else { return nil }
        }
        do {
            let value = try declaration.domain.draw(&choices, key, like: given, from: declaration.drawn)
            metadata[key] = value
            return value
        } catch let error as Unreachable {
            throw MetadataError(keys: [key], reason: "\(error)")
        }
    }

    /// Where a key's absence, or its presence, is not drawn, it is an escape.
    private mutating func isPresent(_ declaration: Declaration, like target: Bool?) -> Bool {
        switch declaration.presence {
        case .either: choices.boolean(like: target)
        case .present: !choices.escape(like: target.map { !$0 })
        case .absent: choices.escape(like: target)
        }
    }

    /// Only valid metadata is ever drawn at random: there a contradiction is a defect of the architecture's domains.
    /// A target may contradict itself, and so may escapes that are replayed where others were lowered.
    public mutating func contradiction(_ error: MetadataError) throws {
        try target?.contradiction(error)
        throw MetadataError(keys: error.keys, reason: "drawn, but contradictory: \(error.reason)")
    }
}
