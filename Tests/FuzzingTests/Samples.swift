import Architectures
import Devices
import Engines
import Foundation
import GGUF
import Inference
import PropertyTesting
import Testing

@testable import Fuzzing

/// Cases that many tests look at.
enum Samples {
    static let devices = ["cpu", "vulkan0"]

    /// Those of models and their scripts, which choices can be found for.
    static let checks = Check.allCases.filter { $0 != .tokenizes }

    static func drawing(_ name: String, checks: [Check] = checks) throws -> CaseDrawing {
        CaseDrawing(
            try ArchitectureCatalog.named(name), devices: devices, placeable: [EngineSet.reference] + devices,
            checks: checks)
    }

    /// The first cases of an architecture, each with its seed.
    static func cases(of name: String, _ count: UInt64) throws -> [(seed: UInt64, case: Case)] {
        let drawing = try drawing(name)
        return try (0..<count).map { seed in
            var choices = Choices(seed: seed, stream: 7)
            return (seed, try drawing.draw(&choices))
        }
    }

    static let architectures = ArchitectureCatalog.all.map { $0.name }
}

/// A llama of a few kilobytes.
enum Toy {
    static let metadata: Metadata = [
        "general.architecture": "llama", "llama.vocab_size": 32, "llama.context_length": 64,
        "llama.embedding_length": 32,
        "llama.block_count": 1, "llama.attention.head_count": 2, "llama.attention.head_count_kv": 1,
        "llama.attention.layer_norm_rms_epsilon": 1e-5, "llama.feed_forward_length": 32,
    ]

    static func traits(_ metadata: Metadata = metadata) throws -> SessionTraits {
        try SessionTraits(ArchitectureCatalog.read(metadata), optional: .only([]))
    }

    /// Of an architecture, its simplest model.
    static func simplest(_ name: String) throws -> Metadata {
        var choices = Choices(replaying: [])
        return try DrawnModel.draw(ArchitectureCatalog.named(name), &choices).metadata
    }

    static func subject(
        _ check: Check, _ steps: [Step] = [.process(Batch([1, 2, 3]))], sequences: Int = 1,
        placement: Placement = Placement("cpu"),
        devices: [String] = ["cpu"]
    ) -> Case {
        Case(
            check: check, metadata: metadata, optionalTensors: [], recipe: WeightRecipe(seed: 1),
            script: Script(placement: placement, options: .init(sequences: sequences), steps: steps), devices: devices)
    }

    static func engine() -> BuiltinEngine { BuiltinEngine(DeviceSet([ReferenceDevice(), CPUDevice()])) }
}

func withTemporaryFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("gguf-fuzz-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    return try body(folder.path)
}
