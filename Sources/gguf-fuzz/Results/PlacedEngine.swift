import ArgumentParser
import Engines
import Foundation
import Fuzzing
import Inference

/// Where a model runs.
struct EngineOptions: ParsableArguments {
    @Option(help: "The device that runs the model. (default: cpu, or another engine's first)")
    var device: String?
    @Option(help: ArgumentHelp(
        "What holds layers and tensors that --device does not.",
        discussion: "Entries DEVICE, LAYERS=DEVICE (2, 0-3, 4-) or REGEX=DEVICE (whole tensor names), "
            + "separated by commas; the last that fits wins.",
        valueName: "placement"))
    var placement: String?
    @Flag(help: "Refuse results for which an op ran on cpu because its device cannot run it.")
    var strict = false
    @Option(help: ArgumentHelp(
        "Attention in one pass over the keys, where the engine has the choice. (values: on, off; default: off, or as "
            + "in the results file; on for one of llama-results)"))
    var flashAttention: Switch?
    @Option(help: "Threads of the processor's devices. (default: one for each core)")
    var threads: Int?
    @OptionGroup var engines: EnginesUnderTest

    func validate() throws {
        if let threads, !(1...1024).contains(threads) {
            throw ValidationError("--threads \(threads): must be 1 to 1024")
        }
        guard engines.engine.count <= 1 else {
            throw ValidationError("--engine: one engine gives results, not several")
        }
    }

    /// Opens the engine; the builtin one in this process, so that no second one maps the weights.
    /// - Throws: `CommandError` for a device that is not there, and what the engine throws.
    func open() throws -> PlacedEngine {
        var makers = try engines.makers(fault: nil)
        makers.isInProcess = true
        let threads = threads ?? ProcessInfo.processInfo.activeProcessorCount
        makers.threads = threads
        // A real model takes as long as it takes, and no fuzzing is held up.
        if engines.timeLimit == nil { makers.limits.time = .seconds(1_000_000) }
        if engines.memoryLimit == nil { makers.limits.memory = .max }
        let placement = try placement.map { try Placement(parsing: $0, defaultDevice: device ?? "") }
        let named = Set([device ?? "cpu"] + (placement?.namedDevices ?? []))
        // Vulkan's drivers take long to open.
        if named.isSubset(of: ["", "cpu", EngineSet.reference]) { makers.devices = ["cpu"] }

        guard let engine = try makers.make().engines.first else { throw CommandError("there is no engine") }
        let known = engine.devices.map(\.name)
        let name = device ?? (known.contains("cpu") ? "cpu" : known.first ?? "")
        guard let device = engine.devices.first(where: { $0.name == name }) else {
            throw CommandError.noDevice(name, known, engine.absences)
        }
        var result = placement ?? Placement(name)
        if result.defaultDevice.isEmpty { result.defaultDevice = name }
        guard flashAttention == nil || engine.traits.settings.contains(.flashAttention) else {
            throw CommandError("--flash-attention: the engine \(engine.name) has no choice")
        }
        return PlacedEngine(
            engine: engine, device: device, placement: result, threads: threads, isStrict: strict)
    }
}

enum Switch: String, ExpressibleByArgument {
    case on, off
}

/// An engine, and where on it a model runs.
struct PlacedEngine {
    let engine: any Engine
    /// What holds whatever the placement does not name.
    let device: EngineDevice
    let placement: Placement
    /// Of a session, where the engine lets it choose.
    let threads: Int
    /// Whether it is an error that a device cannot run an op.
    let isStrict: Bool

    var version: String { (engine as? WorkerEngine)?.version ?? GGUFFuzz.version }

    /// Says what ran elsewhere than it was placed.
    /// - Throws: `CommandError` if that is refused.
    func check(_ fallbacks: [String]) throws {
        for fallback in fallbacks {
            if isStrict { throw CommandError("--strict: \(fallback)") }
            Terminal.error("note: \(fallback); it ran on cpu")
        }
    }
}
