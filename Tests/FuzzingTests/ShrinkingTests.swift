import Architectures
import Devices
import Engines
import Foundation
import GGUF
import Inference
import PropertyTesting
import Testing

@testable import Fuzzing

/// Computes nothing: it fails where it is told to, and can do nothing else.
private final class PickyEngine: Engine {
    let name = "picky"
    let devices = [
        EngineDevice(name: "picky:x", summary: "", precision: Precision(storage: .float32, accumulation: .float32))
    ]
    let refusesOnlyInvalid = true
    let fails: (Metadata, Script) -> Bool

    init(_ fails: @escaping (Metadata, Script) -> Bool) { self.fails = fails }

    func load(_ source: any TensorSource) throws -> any EngineModel { PickyModel(self, source.metadata) }
    func load(file path: String) throws -> any EngineModel { throw Unsupported("files") }
}

private final class PickyModel: EngineModel {
    private let engine: PickyEngine
    private let metadata: Metadata

    init(_ engine: PickyEngine, _ metadata: Metadata) {
        self.engine = engine
        self.metadata = metadata
    }

    func run(_ script: Script, willBegin: (Int) -> Void) throws -> Transcript {
        guard engine.fails(metadata, script) else { throw Unsupported("anything") }
        return Transcript(failure: .init(step: 0, reason: "no"))
    }

    func save(to path: String) throws { throw Unsupported("saving") }
}

extension Script {
    /// The tokens of its longest batch.
    fileprivate var longestBatch: Int { steps.compactMap(\.batch?.tokens.count).max() ?? 0 }
}

@Suite("Shrinking cases")
struct ShrinkingTests {
    /// Of an engine that fails where it is told to.
    private func shrinker(
        _ name: String, budget: Int = 1000, known: KnownFindings = KnownFindings(),
        _ fails: @escaping (Metadata, Script) -> Bool
    ) throws -> CaseShrinker {
        let set = EngineSet(oracle: BuiltinEngine(DeviceSet([ReferenceDevice()])), engines: [PickyEngine(fails)])
        let drawing = CaseDrawing(
            try ArchitectureCatalog.named(name), devices: ["picky:x"], placeable: ["picky:x"], traits: set.traits)
        return CaseShrinker(drawing, Judge(set, known: known), budget: budget)
    }

    private func shrink(_ subject: Case, _ shrinker: CaseShrinker) throws -> ShrunkCase {
        let failure = try #require(shrinker.judge.judge(subject).first?.failure)
        return try #require(shrinker.shrink(subject, failure))
    }

    /// What people write: ten batches of 60 tokens, a removal and one token more, in a context and with weights that
    /// are never drawn.
    private func report() throws -> Case {
        var metadata = try Toy.simplest("gemma3")
        metadata["gemma3.context_length"] = 1024
        metadata["gemma3.attention.sliding_window"] = 16
        metadata["gemma3.block_count"] = 6
        metadata["gemma3.embedding_length"] = 640
        let batches = (0..<10).map { Step.process(Batch((0..<60).map { $0 % 7 }, from: 60 * $0)) }
        let steps = batches + [.remove(sequence: 0, from: 590, to: nil), .process(Batch([5], from: 590))]
        return Case(
            check: .agrees, metadata: metadata, optionalTensors: [],
            recipe: WeightRecipe(seed: 777_777, rules: [.init(role: .scale, zeros: 0.5)]),
            script: Script(placement: Placement("picky:x"), options: .init(context: 1024), steps: steps),
            devices: ["picky:x"])
    }

    @Test("a case that people write is cut down until choices draw it, and then to the least")
    func reports() throws {
        let shrinker = try shrinker("gemma3") { $1.longestBatch >= 7 }
        let report = try report()
        #expect(throws: (any Error).self) { try CaseSpace(drawing: shrinker.drawing).recover(report) }
        let shrunk = try shrink(report, shrinker)
        #expect(shrunk.case.layers == 1 && shrunk.case.tokens == 7 && shrunk.case.script.steps.count == 1)
        #expect(shrunk.case.script.options.context == 64 && shrunk.case.recipe == WeightRecipe(seed: 0))
        #expect(!shrunk.isExhausted && !shrunk.isFlaky && shrunk.evaluations < 200)
        #expect(CaseSpace(drawing: shrinker.drawing).replay(shrunk.recording) == shrunk.case)
    }

    @Test("what no choices draw to the end is cut down all the same, its model too")
    func structural() throws {
        let shrinker = try shrinker("gemma3") { $1.longestBatch >= 50 && $1.options.context > 300 }
        let shrunk = try shrink(try report(), shrinker)
        #expect(shrunk.case.tokens == 50 && shrunk.case.script.steps.count == 1)
        #expect(shrunk.case.script.options.context == 512)
        #expect(shrunk.case.metadata == (try Toy.simplest("gemma3")))
        #expect(shrunk.case.recipe == WeightRecipe(seed: 0) && !shrunk.isExhausted)
        #expect(throws: (any Error).self) { try CaseSpace(drawing: shrinker.drawing).recover(shrunk.case) }
    }

    @Test("sequences go, and what is said of the others stays")
    func sequences() throws {
        var subject = try report()
        subject.script.options.sequences = 3
        let all: SequenceSet = [0, 1, 2]
        subject.script.steps = [
            .process(Batch((0..<80).map { Batch.Token(id: 1, position: $0, sequences: all) })),
            .remove(sequence: 2, from: 70, to: nil), .process(Batch([3], from: 70, sequence: 2)),
        ]
        let traits = try subject.sessionTraits()
        let left = subject.script.removing(ScriptCut(sequence: 0), traits, .agrees)
        #expect(left.options.sequences == 2)
        #expect(
            left.steps == [
                .process(Batch((0..<80).map { Batch.Token(id: 1, position: $0, sequences: [0, 1]) })),
                .remove(sequence: 1, from: 70, to: nil), .process(Batch([3], from: 70, sequence: 1)),
            ])
        // As far from the end as they were.
        let shorter = subject.script.removing(ScriptCut(tokens: 0..<60), traits, .agrees)
        #expect(shorter.steps.dropFirst() == [
            .remove(sequence: 2, from: 10, to: nil), .process(Batch([3], from: 10, sequence: 2)),
        ])
    }

    @Test("without a step, what comes later is moved along, and nothing else goes")
    func removedSteps() throws {
        let steps: [Step] = [
            .process(Batch([1, 2, 3])), .shift(sequence: 0, from: 0, by: 4), .process(Batch([4, 5], from: 7)),
            .save(sequence: nil), .remove(sequence: 0, from: 8, to: nil), .process(Batch([6], from: 8)),
            .restore(sequence: nil), .process(Batch([7], from: 9)),
        ]
        let subject = Toy.subject(.agrees, steps)
        #expect(try subject.objection() == nil)
        let unshifted = subject.removing(.step("shift"))
        #expect(try unshifted.objection() == nil)
        #expect(unshifted.script.steps == [
            steps[0], .process(Batch([4, 5], from: 3)), steps[3], .remove(sequence: 0, from: 4, to: nil),
            .process(Batch([6], from: 4)), steps[6], .process(Batch([7], from: 5)),
        ])
        let whole = subject.removing(.step("remove"))
        #expect(try whole.objection() == nil && whole.script.steps.count == 7)
        #expect(whole.script.steps[4] == .process(Batch([6], from: 9)))
        // Nothing can be restored that was not saved: that says nothing of saving.
        #expect(try subject.removing(.step("save")).objection() != nil)
    }

    @Test("every script that is drawn is legal, and so is what is left of it", arguments: Samples.architectures)
    func legality(_ name: String) throws {
        for (seed, subject) in try Samples.cases(of: name, 3) where subject.check != .rejects {
            #expect(try subject.objection() == nil, "seed \(seed)")
            let traits = try subject.sessionTraits()
            func left(_ cut: ScriptCut) -> Script { subject.script.removing(cut, traits, subject.check) }
            #expect(left(ScriptCut()) == subject.script, "seed \(seed)")
            let steps = subject.script.steps.indices.map { ScriptCut(steps: [$0]) }
            let tokens = (0..<min(subject.tokens, 12)).map { ScriptCut(tokens: $0..<$0 + 1) }
            let sequences = subject.script.options.sequences > 1
                ? (0..<subject.script.options.sequences).map { ScriptCut(sequence: $0) } : []
            for cut in steps + tokens + sequences {
                let script = left(cut)
                #expect(script != subject.script, "seed \(seed), \(cut)")
                #expect(script.steps.isEmpty || script.objection(traits, subject.check) == nil, "seed \(seed), \(cut)")
            }
        }
    }

    @Test("what no session can be asked for is said with its step and why")
    func objections() throws {
        func objection(_ steps: Step..., check: Check = .agrees, sequences: Int = 1) throws -> String? {
            try Toy.subject(check, steps, sequences: sequences).objection()
        }
        let batch = Step.process(Batch([1, 2]))
        #expect(try objection(batch, .process(Batch([3], from: 2))) == nil)
        #expect(try objection(batch, batch) == "script.steps[1].process: position 0 of sequence 0, which goes on at 2")
        #expect(try objection(.process(Batch([99]))) == "script.steps[0].process: token 99 of a vocabulary of 32")
        #expect(
            try objection(.process(Batch(Array(repeating: 0, count: 65))))
                == "script.steps[0].process: 65 tokens in 64 free cells of 64")
        #expect(try objection(.encode(Batch([1]))) == "script.steps[0].encode: the model has no encoder")
        #expect(try objection(.restore(sequence: nil)) == "script.steps[0].restore: nothing of the kind has been saved")
        #expect(try objection(batch, .save(sequence: 0), .restore(sequence: 0)) == nil)
        let middle = Step.remove(sequence: 0, from: 0, to: 1)
        #expect(try objection(batch, middle) == nil)
        #expect(
            try objection(batch, middle, check: .state)
                == "script.steps[1].remove: what follows has been computed with what is removed")
        #expect(
            try objection(batch, .copy(source: 0, destination: 1), .shift(sequence: 0, from: 0, by: 1), sequences: 2)
                == "script.steps[2].shift: sequence 0 shares tokens with another")
    }

    @Test("a case whose budget ends says so, and shrinking goes on from there")
    func budget() throws {
        func fails(_: Metadata, _ script: Script) -> Bool { script.longestBatch >= 7 }
        let first = try shrink(try report(), shrinker("gemma3", budget: 5, fails))
        #expect(first.isExhausted && first.evaluations == 5)
        #expect(first.case.tokens < 601 && first.case.tokens > 7)
        let second = try shrink(first.case, shrinker("gemma3", fails))
        #expect(!second.isExhausted && second.case.tokens == 7)
        var judged = 0
        var cancelled = try shrinker("gemma3", fails)
        cancelled.progress = { count, _ in judged = count }
        let failure = try #require(cancelled.judge.judge(try report()).first?.failure)
        let third = try #require(cancelled.shrink(try report(), failure) { judged >= 3 })
        #expect(third.isExhausted && third.evaluations == 3)
    }

    @Test("what a known finding explains is no failure of a candidate")
    func known() throws {
        try withTemporaryFolder { folder in
            let plain = try shrinker("gemma3") { $1.longestBatch >= 7 }
            let failure = try #require(plain.judge.judge(try report()).first?.failure)
            var entry = CorpusEntry(
                case: try report(), signature: failure.signature, seen: "",
                found: .init(seed: 1, index: 1, version: ""))
            entry.known = .init(when: ["block_count 1"])
            try entry.write(to: folder + "/one-layer.json")
            let known = try KnownFindings([folder])
            let shrunk = try shrink(try report(), shrinker("gemma3", known: known) { $1.longestBatch >= 7 })
            #expect(shrunk.case.layers == 2 && shrunk.case.tokens == 7)
            let other = try shrinker("gemma3", known: known) { $1.longestBatch >= 7 }
            #expect(other.shrink(plain.drawing.completed(shrunk.case.ofOneLayer), failure) == nil)
        }
    }

    @Test("fewer tokens that need another model than the simplest are found")
    func otherModels() throws {
        let shrinker = try shrinker("llama") { metadata, script in
            script.longestBatch >= 3 || metadata.integer("llama.attention.head_count") ?? 0 > 1
        }
        var subject = try report()
        subject.metadata = try Toy.simplest("llama")
        let shrunk = try shrink(subject, shrinker)
        #expect(shrunk.case.layers == 1 && shrunk.case.tokens == 1)
    }

    @Test("contradicted metadata is shrunk by the choices of what it contradicts")
    func contradictions() throws {
        let drawing = try Samples.drawing("llama", checks: [.rejects])
        let space = CaseSpace(drawing: drawing)
        let cases = try (0..<20).map { seed in
            var choices = Choices(seed: UInt64(seed), stream: 3)
            return try drawing.draw(&choices)
        }
        let recovered = cases.filter { (try? space.recover($0)).flatMap(space.replay) == $0 }
        #expect(recovered.count >= 15, "\(recovered.count)")
    }
}

extension Case {
    fileprivate var ofOneLayer: Case { (try? removing(layer: 1)) ?? self }
}
