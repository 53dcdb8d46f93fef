import ArgumentParser
import Architectures
import Devices
import GGUF
import Inference
import ModelGraph
import PropertyTesting
import VulkanDevice

struct Archs: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the architectures, what falls back to cpu on which device, and the hyperparameters of one.",
        discussion: """
            Examples:
              gguf-fuzz archs
              gguf-fuzz archs deepseek2
              gguf-fuzz archs --markdown
            """)

    @Argument(help: "The architecture to describe.")
    var name: String?
    @Option(help: "Type of the large matrices, for what the devices support.")
    var type = MatrixType.f32
    @Flag(help: "Print all of them as a page of Markdown, with what each is held against.")
    var markdown = false

    func validate() throws {
        guard name == nil || !markdown else { throw ValidationError("--markdown is of all architectures, not of one") }
    }

    func run() throws {
        if let name {
            try ArchitectureDescription(ArchitectureCatalog.named(name)).print()
        } else if markdown {
            try ArchitecturePage.lines().forEach { Swift.print($0) }
        } else {
            try list()
        }
    }

    private func list() throws {
        let devices = DeviceSet.all()
        var table = TextTable(
            ["architecture", "keys"] + devices.devices.map(\.name) + ["llama.cpp", "transformers"], rightAligned: [1])
        var reasons: [String] = []
        for family in ArchitectureCatalog.families where !family.members.isEmpty {
            table.rows.append(["\(family.name):"])
            for member in family.members {
                var cells = [member.type.name, "\(try DeclarationList.of(member.type).count)"]
                let all = try Refusals.all(
                    member.type, of: type.type,
                    by: devices.devices.map { device in { device.unsupported($0, in: $1, weightTypes: $2) } })
                for (device, refusals) in zip(devices.devices, all) {
                    cells.append(refusals.summary)
                    reasons += refusals.reasons.map { "\(member.type.name) on \(device.name): \($0)" }
                }
                table.rows.append(cells + [member.llama, member.transformers.joined(separator: " ")])
            }
        }
        table.print()
        for absence in devices.absences { print("not found: \(absence)") }
        if !reasons.isEmpty { print("\nWhat falls back to cpu:") }
        for reason in reasons { print("  \(reason)") }
    }
}

/// The page of all architectures, `Fuzz/architectures.md`.
enum ArchitecturePage {
    static func lines() throws -> [String] {
        let cpu = CPUDevice()
        var lines = [
            "# Architectures", "",
            "Made by `gguf-fuzz archs --markdown`. The builtin engine has \(ArchitectureCatalog.all.count).",
            "*keys*: its hyperparameters. *cpu*, *vulkan*: what these devices run; `reference` runs all. *llama.cpp*:",
            "the oldest version that it has been run in. *transformers*: the authors' classes that it is held against",
            "in float64; where there is none, the declaration's doc comment names the paper or the code.",
            "`gguf-fuzz archs NAME` lists the keys and tensors of one.",
        ]
        for family in ArchitectureCatalog.families where !family.members.isEmpty {
            lines += [
                "", "## \(family.name.prefix(1).uppercased() + family.name.dropFirst())", "",
                "| architecture | keys | cpu | vulkan | llama.cpp | transformers |", "|---|---|---|---|---|---|",
            ]
            for member in family.members {
                let refusals = try Refusals.all(
                    member.type, of: .f32,
                    by: [
                        { cpu.unsupported($0, in: $1, weightTypes: $2) },
                        { node, graph, _ in VulkanDevice.refusal(node, in: graph) },
                    ])
                let cells = ["`\(member.type.name)`", "\(try DeclarationList.of(member.type).count)"]
                    + refusals.map(\.summary)
                    + [member.llama, member.transformers.map { "`\($0)`" }.joined(separator: " ")]
                lines.append("| \(cells.joined(separator: " | ")) |")
            }
        }
        return lines
    }
}

/// What a device cannot run of an architecture, over many drawn models.
private struct Refusals {
    private(set) var ops: [String] = []
    private(set) var reasons: [String] = []
    var summary: String { ops.isEmpty ? "all" : "all but \(ops.joined(separator: ", "))" }

    /// - Parameter devices: what each device says of a node, see `Device.unsupported`.
    static func all(
        _ architecture: any Architecture.Type, of type: TensorType,
        by devices: [(Node, Graph, [TensorType]) -> String?]
    ) throws -> [Refusals] {
        var all = devices.map { _ in Refusals() }
        let recipe = WeightRecipe(seed: 0, type: type)
        for seed in 0..<8 as Range<UInt64> {
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
                    for (device, unsupported) in devices.enumerated() {
                        if let reason = unsupported(node, graph, types) { all[device].add(node.op.name, reason) }
                    }
                }
            }
        }
        return all
    }

    private mutating func add(_ op: String, _ reason: String) {
        if !ops.contains(op) { ops.append(op) }
        let line = "\(op): \(reason)"
        if !reasons.contains(line) { reasons.append(line) }
    }
}
