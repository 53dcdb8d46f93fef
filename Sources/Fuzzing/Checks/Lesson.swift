import Architectures
import Devices
import Engines
import GGUF
import Inference
import ModelGraph

/// A short text that a toy learns by heart: each token of a script's batch is to be followed by the next one, and the last
/// by the first.
public struct Lesson {
    private let script: Script
    private let training: Training

    /// - Parameters:
    ///   - script: encodes what is to be encoded, and processes the text.
    ///   - training: how weights are changed, and how often at most.
    public init(_ script: Script, _ training: Training = .byHeart()) {
        self.script = script
        self.training = training
    }

    /// Of the losses of all tokens together: no other token comes near the right one then.
    private static let learnedLoss = 0.2
    /// Models of such a loss that do not say the text, before it is given up.
    private static let mostMistakes = 8
    private static let leastLead = 0.125

    /// That a toy does not learn a text.
    public struct Unlearned: Error, Hashable, Sendable, CustomStringConvertible {
        public var description: String { "the toy does not learn the text" }
    }

    /// The model when it has learned the text, and in how many steps, on `cpu`.
    /// - Parameters:
    ///   - source: the model as it is at first.
    ///   - types: of its tensors when it has learned the text.
    /// - Throws: `Unlearned`; what `Session` throws.
    public func learned(
        by source: any TensorSource, types: (Weight) throws -> TensorType = { _ in .f32 }
    ) throws -> (model: any TensorSource, steps: Int) {
        guard let (encoded, batch) = script.onlyBatch else { throw Unlearned() }
        let trainer = try Trainer(source, training, types: types, on: CPUDevice(), options: options)
        var mistakes = 0
        for step in 0..<training.steps {
            let loss = try trainer.step(batch, encoding: encoded)
            guard loss.isFinite else { throw Unlearned() }
            guard loss * Double(batch.tokens.count) < Self.learnedLoss else { continue }
            let trained = try trainer.trained()
            if try mistake(of: trained) == nil { return (trained, step + 1) }
            // The last step may have spoiled it; but what can never be said counts in no loss.
            mistakes += 1
            if mistakes == Self.mostMistakes { throw Unlearned() }
        }
        // Where logits are bounded, losses stay: then the right token need only be the likeliest, and clearly so.
        let trained = try trainer.trained()
        guard try mistake(of: trained, leastLead: Self.leastLead) == nil else { throw Unlearned() }
        return (trained, training.steps)
    }

    /// The model after all of the steps, on `cpu`, whether it has learned the text or not.
    /// - Parameters:
    ///   - source: the model as it is at first.
    ///   - fixed: names of tensors that stay as they are.
    /// - Throws: what `Session` throws.
    func result(of source: any TensorSource, without fixed: [String]) throws -> MemorySource {
        guard let (encoded, batch) = script.onlyBatch else { throw Unlearned() }
        let trainer = try Trainer(
            source, training, isTrained: { !fixed.contains($0.name) }, on: CPUDevice(), options: options)
        for _ in 0..<training.steps { _ = try trainer.step(batch, encoding: encoded) }
        return try trainer.trained()
    }

    private var options: SessionOptions {
        SessionOptions(
            context: script.options.context, sequences: script.options.sequences, microBatch: script.options.microBatch)
    }

    /// What a model says in place of the text, by the reference; nil where it says the text.
    /// - Parameters:
    ///   - source: the model.
    ///   - leastLead: of each right token's logit before all others, as a part of their spread.
    /// - Throws: what `Session` throws.
    public func mistake(of source: any TensorSource, leastLead: Double = 0) throws -> String? {
        guard let (encoded, batch) = script.onlyBatch else { return "nothing" }
        let reference = ReferenceDevice()
        let session = try Session(
            Model(source), placement: Placement(reference.name), devices: DeviceSet([reference]), options: options)
        if let encoded { try session.encode(encoded) }
        return mistake(in: StepResult(try session.process(batch)), from: 0, leastLead: leastLead)
    }

    /// What is said in place of the right token, where rows say anything else.
    /// - Parameters:
    ///   - result: of some of the text's tokens.
    ///   - first: the first of them.
    ///   - leastLead: as of `mistake(of:leastLead:)`.
    func mistake(in result: StepResult, from first: Int, leastLead: Double = 0) -> String? {
        guard let tokens = script.onlyBatch?.batch.tokens, let rows = result.logits, !rows.keys.isEmpty else {
            return "nothing"
        }
        for (index, key) in rows.keys.enumerated() {
            let row = rows.row(at: index), right = tokens[(first + key + 1) % tokens.count].id
            guard let greatest = row.indices.max(by: { row[$0] < row[$1] }) else { continue }
            let said = greatest - row.startIndex
            if said != right { return "after token \(first + key) of the text comes \(said), not \(right)" }
            guard leastLead > 0 else { continue }
            let others = row.indices.lazy.filter { $0 != greatest && row[$0].isFinite }.map { row[$0] }
            if let second = others.max(), let least = others.min(),
                row[greatest] - second < leastLead * (row[greatest] - least)
            {
                return "after token \(first + key) of the text another one may come than \(right)"
            }
        }
        return nil
    }

    /// Whether a model of this kind says one token after another.
    public static func applies(to traits: SessionTraits) -> Bool {
        // A token of the decoder sees what was encoded, and a draft what its target has made.
        traits.hasLogits && !traits.traits.isOfWholeBatches && traits.traits.drafting == nil
    }
}

extension Trial {
    /// A model that has learned a text says it, whether it sees it at once or has said it itself.
    mutating func expectText(of engine: any Engine) throws {
        let lesson = Lesson(subject.script)
        let trained = try loaded.trained()
        let model = try load { try engine.load(trained) }
        try expect(lesson, script, on: model)
        var single = script
        single.steps = script.steps.flatMap { step -> [Step] in
            guard case .process(let batch) = step else { return [step] }
            return batch.tokens.map { .process(Batch([$0])) }
        }
        try expect(lesson, single, on: model)
        if engine.traits.trains == true { try expectLearning(by: engine) }
    }

    private mutating func expect(_ lesson: Lesson, _ script: Script, on model: any EngineModel) throws {
        var first = 0
        for (step, result) in zip(script.steps, try play(script, on: model).results) {
            guard case .process(let batch) = step else { continue }
            if let mistake = lesson.mistake(in: result, from: first) {
                throw Wrong(stage: "process", kind: "says something else", seen: mistake)
            }
            first += batch.tokens.count
        }
    }
}
