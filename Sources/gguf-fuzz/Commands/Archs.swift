import ArgumentParser
import Architectures
import Devices
import GGUF
import Inference
import ModelGraph
import PropertyTesting

struct Archs: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the architectures, what falls back to cpu on which device, and the hyperparameters of one.",
        discussion: """
            Examples:
              gguf-fuzz archs
              gguf-fuzz archs deepseek2
            """)

    @Argument(help: "The architecture to describe.")
    var name: String?
    @Option(help: "Type of the large matrices, for what the devices support.")
    var type = MatrixType.f32

    func run() throws {
        if let name {
            try ArchitectureDescription(ArchitectureCatalog.named(name)).print()
        } else {
            try list()
        }
    }

    private func list() throws {
        let devices = DeviceSet.all()
        var table = TextTable(["architecture", "keys"] + devices.devices.map(\.name) + ["transformers"], rightAligned: [1])
        var reasons: [String] = []
        for family in ArchitectureCatalog.families {
            table.rows.append(["\(family.name):"])
            for member in family.members {
                let architecture = member.type
                var cells = [architecture.name, "\(try DeclarationList.of(architecture).count)"]
                for device in devices.devices {
                    let refusals = try Refusals(architecture, on: device, type: type.type)
                    cells.append(refusals.isEmpty ? "all" : "all but \(refusals.ops.joined(separator: ", "))")
                    reasons += refusals.reasons.map { "\(architecture.name) on \(device.name): \($0)" }
                }
                table.rows.append(cells + [member.transformers.joined(separator: " ")])
            }
        }
        table.print()
        for absence in devices.absences { print("not found: \(absence)") }
        if !reasons.isEmpty { print("\nWhat falls back to cpu:") }
        for reason in reasons { print("  \(reason)") }
    }
}

/// What a device cannot run of an architecture, over many drawn models.
private struct Refusals {
    private(set) var ops: [String] = []
    private(set) var reasons: [String] = []
    var isEmpty: Bool { ops.isEmpty }

    init(_ architecture: any Architecture.Type, on device: any Device, type: TensorType) throws {
        let recipe = WeightRecipe(seed: 0, type: type)
        for seed in 0..<32 as Range<UInt64> {
            var choices = Choices(seed: seed)
            let drawn = try DrawnModel.draw(architecture, &choices)
            for stage in drawn.architecture.traits.stages {
                let builder = GraphBuilder(
                    batch: BatchShape(stage: stage, tokens: 3, outputs: 2, cells: 32, encoderTokens: 3, context: 64),
                    hasTensor: drawn.optionalTensors.contains)
                drawn.architecture.build(builder)
                let graph = try builder.finish()
                let types = try graph.weights.map(recipe.type)
                for node in graph.nodes {
                    guard let reason = device.unsupported(node, in: graph, weightTypes: types) else { continue }
                    if !ops.contains(node.op.name) { ops.append(node.op.name) }
                    let line = "\(node.op.name): \(reason)"
                    if !reasons.contains(line) { reasons.append(line) }
                }
            }
        }
    }
}
