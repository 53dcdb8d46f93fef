import Devices
import Engines
import Foundation
import GGUF
import Inference
import Testing

@testable import Fuzzing

/// An engine with optimisers of its own: the builtin one's gradient, and weights that go where it says.
private final class LearningEngine: Engine {
    let name = "learning"
    let traits = EngineTraits(trains: true)
    let base = Toy.engine()
    /// A tensor that it forgets.
    let forgotten: String?
    /// What it takes the gradient times.
    let factor: Double

    init(forgetting forgotten: String? = nil, factor: Double = 1) {
        self.forgotten = forgotten
        self.factor = factor
    }

    var devices: [EngineDevice] { base.devices }
    func load(_ source: any TensorSource) throws -> any EngineModel {
        LearningModel(self, source, try base.load(source))
    }
    func load(file path: String) throws -> any EngineModel { try load(FileSource(path: path)) }
}

private final class LearningModel: EngineModel {
    private let engine: LearningEngine
    private let source: any TensorSource
    private let base: any EngineModel

    init(_ engine: LearningEngine, _ source: any TensorSource, _ base: any EngineModel) {
        (self.engine, self.source, self.base) = (engine, source, base)
    }

    func run(_ script: Script, willBegin: (Int) -> Void) throws -> Transcript {
        try base.run(script, willBegin: willBegin)
    }

    func save(to path: String) throws { try base.save(to: path) }

    func train(_ script: Script, _ training: Training, to path: String) throws -> Trained {
        let untrained = ["token_embd.weight"]
        var weights: [String: [Float]] = [:]
        for tensor in source.tensors { weights[tensor.name] = try source.elements(of: tensor).map { Float($0) } }
        var trained = Trained(losses: [], untrained: untrained)
        for _ in 0..<training.steps {
            let results = try engine.base.load(copy(weights)).differentiate(script).results
            trained.losses.append(results[0].rows?.elements.first ?? .nan)
            for (tensor, result) in zip(source.tensors, results.dropFirst())
            where !untrained.contains(tensor.name) && tensor.name != engine.forgotten {
                guard let gradient = result.rows?.elements, let old = weights[tensor.name] else { continue }
                weights[tensor.name] = zip(old, gradient).map { weight, slope in
                    let slope = slope * engine.factor
                    // Without what came before, both of AdamW's means are those of this step.
                    let direction = training.optimiser == .sgd ? slope : slope / (abs(slope) + Double(training.epsilon))
                    return weight - Float(Double(training.rate) * direction)
                }
            }
        }
        try Data(Model(copy(weights)).savedBytes()).write(to: URL(fileURLWithPath: path))
        return trained
    }

    private func copy(_ weights: [String: [Float]]) throws -> MemorySource {
        try MemorySource(source.metadata, optional: .of(source.tensors)) { tensor in
            let elements = weights[tensor.name] ?? []
            let bytes = try TensorBytes(count: 4 * elements.count) { bytes in
                try elements.withUnsafeBufferPointer { try TensorType.f32.encode($0, into: bytes) }
            }
            return TensorData(name: tensor.name, shape: tensor.shape, type: .f32, bytes: bytes)
        }
    }
}

@Suite("Engines that train models")
struct TrainingTests {
    private func judge(_ check: Check, _ engine: LearningEngine) -> Verdict {
        let subject = Toy.subject(check, [.process(Batch([3, 1, 4]))])
        return Judge(EngineSet(oracle: engine.base, engines: [engine]), provesFailures: false).judge(subject)[0]
    }

    @Test("go where the gradient says, by either optimiser")
    func steps() {
        let verdict = judge(.gradients, LearningEngine())
        #expect(verdict.outcome == .passed)
        #expect(verdict.fallbacks == ["tensors that the engine does not train stay as they are"])
    }

    @Test("are wrong where they go elsewhere, or leave a tensor as it is")
    func wrong() throws {
        let scaled = try #require(judge(.gradients, LearningEngine(factor: 1.001)).failure)
        #expect(scaled.signature.stage == "gradient" && scaled.signature.kind == "mismatch")
        let forgetful = try #require(judge(.gradients, LearningEngine(forgetting: "output_norm.weight")).failure)
        #expect(forgetful.seen.hasPrefix("the gradient of output_norm.weight: "))
    }
}
