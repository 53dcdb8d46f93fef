import GGUF
import ModelGraph
import PropertyTesting

/// A model drawn at random: valid metadata, and which of its optional tensors it has.
public struct DrawnModel: Sendable {
    public let metadata: Metadata
    public let architecture: any Architecture
    /// Names of the optional tensors that the model has.
    public let optionalTensors: Set<String>

    /// Draws a model of an architecture; `choices` keeps what was chosen.
    public static func draw(_ type: any Architecture.Type, _ choices: inout Choices) throws -> DrawnModel {
        var drawer = MetadataDrawer(architecture: type.name, choices: choices)
        let architecture = try type.init(&drawer)
        choices = drawer.choices

        let presence = TensorPresence(choices: choices)
        for stage in architecture.traits.stages {
            let g = GraphBuilder(batch: .inventory(stage)) { presence.isPresent($0) }
            architecture.build(g)
            _ = try g.finish()
        }
        choices = presence.choices
        return DrawnModel(
            metadata: drawer.metadata, architecture: architecture, optionalTensors: presence.present)
    }
}

/// Decides on each optional tensor when a graph first asks for it: in all layers, in none, or layer by layer.
private final class TensorPresence {
    private enum Policy: CaseIterable { case never, always, mixed }
    var choices: Choices
    private var policies: [String: Policy] = [:]
    private var decided: [String: Bool] = [:]

    init(choices: Choices) { self.choices = choices }

    var present: Set<String> { Set(decided.filter(\.value).keys) }

    func isPresent(_ name: String) -> Bool {
        if let known = decided[name] { return known }
        choices.beginSpan(name)
        defer { choices.endSpan() }
        // The same tensor of another layer differs in the block's number only.
        let kind = name.split(separator: ".").filter { Int($0) == nil }.joined(separator: ".")
        let policy = policies[kind] ?? choices.element(of: Policy.allCases)
        policies[kind] = policy
        let result = switch policy {
        case .never: false
        case .always: true
        case .mixed: choices.boolean()
        }
        decided[name] = result
        return result
    }
}
