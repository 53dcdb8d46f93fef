import GGUF
import ModelGraph
import PropertyTesting

/// A model drawn at random: valid metadata, and which of its optional tensors it has.
public struct DrawnModel: Sendable {
    public let metadata: Metadata
    public let architecture: any Architecture
    /// Names of the optional tensors that the model has.
    public let optionalTensors: Set<String>
    /// The smallest graph of each stage.
    public let graphs: [Graph]

    /// A model to draw alike, whose tensors may be named with those that are not optional.
    public typealias Target = (metadata: Metadata, optionalTensors: Set<String>)

    /// Draws a model of an architecture; `choices` keeps what was chosen.
    /// - Parameter target: a model of that architecture to draw alike, whatever the choices would be: they become
    ///   those that draw it. Only its hyperparameters count, and the tensors that are optional.
    /// - Parameter domain: of the models that are drawn; nil: all.
    /// - Throws: `MetadataError` where the target is no valid model. Drawing at random throws nothing; replaying an
    ///   edited recording may, where escapes contradict each other.
    public static func draw(
        _ type: any Architecture.Type, _ choices: inout Choices, like target: Target? = nil,
        within domain: ModelDomain? = nil
    ) throws -> DrawnModel {
        var drawer = MetadataDrawer(
            architecture: type.name, choices: choices, like: target?.metadata, within: domain)
        let architecture = try type.init(&drawer)
        choices = drawer.choices

        let given = try target.map { target in
            var given: [String: Bool] = [:]
            _ = try architecture.smallestGraphs { name in
                given[name] = target.optionalTensors.contains(name)
                return target.optionalTensors.contains(name)
            }
            return given
        }
        let presence = TensorPresence(type.name, choices: choices, like: given, within: domain)
        let graphs = try architecture.smallestGraphs { presence.isPresent($0, $1) }
        choices = presence.choices
        if let failure = presence.failure { throw failure }
        return DrawnModel(
            metadata: drawer.metadata, architecture: architecture, optionalTensors: presence.present, graphs: graphs)
    }

    /// The choices that draw a model: a file's, a repro's or a released one's, of any size.
    /// - Throws: `MetadataError` where the metadata is no valid model's.
    public static func recover(_ metadata: Metadata, optionalTensors: Set<String>) throws -> Choices.Recording {
        var choices = Choices(replaying: [])
        _ = try draw(ArchitectureCatalog.type(of: metadata), &choices, like: (metadata, optionalTensors))
        return choices.recording
    }
}

extension Architecture {
    /// The smallest graph of each stage, prediction blocks included: together they ask for every tensor, and have every
    /// state.
    /// - Parameter hasTensor: whether the model has the optional tensor of this name.
    /// - Throws: `GraphError`.
    public func smallestGraphs(_ hasTensor: @escaping (String) -> Bool) throws -> [Graph] {
        try smallestGraphs { name, _ in hasTensor(name) }
    }

    fileprivate func smallestGraphs(
        _ hasTensor: @escaping (String, GraphBuilder.Presence) -> Bool
    ) throws -> [Graph] {
        try traits.allStages.map { try graph(GraphBuilder(batch: .inventory($0), hasTensor: hasTensor)) }
    }

    /// The graph of one batch.
    /// - Throws: `GraphError`.
    public func graph(_ batch: BatchShape, _ hasTensor: @escaping (String) -> Bool) throws -> Graph {
        try graph(GraphBuilder(batch: batch, hasTensor: hasTensor))
    }

    private func graph(_ builder: GraphBuilder) throws -> Graph {
        build(builder)
        return try builder.finish()
    }
}

/// Decides on each optional tensor when a graph first asks for it: in all layers, in none, or layer by layer.
private final class TensorPresence {
    var choices: Choices
    private var policies: [String: TensorPolicy] = [:]
    private var decided: [String: Bool] = [:]
    private let given: [String: Bool]?
    private let givenPolicies: [String: TensorPolicy]?
    private let architecture: String
    private let domain: ModelDomain?
    /// Why the domain does not say where a tensor is.
    private(set) var failure: (any Error)?

    /// - Parameter given: the decisions, where they are given.
    init(_ architecture: String, choices: Choices, like given: [String: Bool]?, within domain: ModelDomain?) {
        self.architecture = architecture
        self.domain = domain
        self.choices = choices
        self.given = given
        givenPolicies = given.map { given in
            Dictionary(grouping: given.keys, by: Self.kind).mapValues { names in
                switch Set(names.map { given[$0] }) {
                case [false]: .never
                case [true]: .always
                default: .mixed
                }
            }
        }
    }

    var present: Set<String> { Set(decided.filter(\.value).keys) }

    func isPresent(_ name: String, _ presence: GraphBuilder.Presence) -> Bool {
        if let known = decided[name] { return known }
        if presence == .unasked { return given?[name] ?? false }
        let result = switch policy(of: Self.kind(name), presence) {
        case .never: false
        case .always: true
        case .mixed: choices.span(name) { $0.boolean(like: given?[name]) }
        }
        decided[name] = result
        return result
    }

    /// In a span of its own, since another layer may be the first to ask when the model is replayed with fewer.
    private func policy(of kind: String, _ presence: GraphBuilder.Presence) -> TensorPolicy {
        if let known = policies[kind] { return known }
        // The first is the simplest, and what all but few models have.
        let all: [TensorPolicy] = presence == .most ? [.always, .never, .mixed] : TensorPolicy.allCases
        var drawn: [TensorPolicy]?
        do { drawn = try domain?.presence(of: "\(architecture).\(kind)") } catch { failure = error }
        let policies = all.filter { drawn?.contains($0) ?? true }
        choices.isCalm = presence != .some && !choices.chance(1, in: 40)
        let index = choices.span(kind) { choices in
            // Whatever is given is one of all, so that this throws nothing.
            (try? choices.element(
                of: policies.compactMap(all.firstIndex), or: .integers(in: 0...all.count - 1),
                like: givenPolicies?[kind].flatMap(all.firstIndex))) ?? 0
        }
        let policy = all[index]
        choices.isCalm = false
        self.policies[kind] = policy
        return policy
    }

    /// The same tensor of another layer differs in the block's number only.
    private static func kind(_ name: String) -> String {
        name.split(separator: ".").filter { Int($0) == nil }.joined(separator: ".")
    }
}
