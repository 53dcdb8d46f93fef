import Devices
import Engines
import Foundation
import GGUF
import Inference
import Testing

@testable import Fuzzing

/// The builtin engine's `cpu` under another name, which may do anything else instead.
private final class FakeEngine: Engine {
    let name = "fake"
    let devices = [
        EngineDevice(name: "fake:x", summary: "", precision: Precision(storage: .float32, accumulation: .float32))
    ]
    var refusesOnlyInvalid = true
    /// What is thrown instead of taking a model.
    var refusal: (any Error)?
    /// What becomes of a transcript; the number of runs so far, this one included.
    var change: (inout Transcript, Script, Int) throws -> Void = { _, _, _ in }
    var saved: ([UInt8]) throws -> [UInt8] = { $0 }
    /// The length of what is saved, where it is not what it has.
    var savedLength: UInt64?
    /// Of the models from files only.
    var changeOfFiles: (inout Transcript) -> Void = { _ in }
    fileprivate var runs = 0
    private let builtin = Toy.engine()

    func load(_ source: any TensorSource) throws -> any EngineModel {
        if let refusal { throw refusal }
        return FakeModel(self, try builtin.load(source), isFile: false)
    }

    func load(file path: String) throws -> any EngineModel {
        FakeModel(self, try builtin.load(file: path), isFile: true)
    }
}

private final class FakeModel: EngineModel {
    let engine: FakeEngine
    let model: any EngineModel
    let isFile: Bool

    init(_ engine: FakeEngine, _ model: any EngineModel, isFile: Bool) {
        self.engine = engine
        self.model = model
        self.isFile = isFile
    }

    func run(_ script: Script, willBegin: (Int) -> Void) throws -> Transcript {
        engine.runs += 1
        var transcript = try model.run(script.on("cpu"))
        try engine.change(&transcript, script, engine.runs)
        if isFile { engine.changeOfFiles(&transcript) }
        return transcript
    }

    func save(to path: String) throws {
        let file = URL(fileURLWithPath: path)
        try model.save(to: path)
        try Data(engine.saved(Array(Data(contentsOf: file)))).write(to: file)
        if let length = engine.savedLength { try FileHandle(forWritingTo: file).truncate(atOffset: length) }
    }
}

extension Transcript {
    fileprivate mutating func changeRow(_ change: (inout [Double]) -> Void) {
        guard let last = results.indices.last, var rows = results[last].logits else { return }
        change(&rows.elements)
        results[last].logits = rows
    }
}

@Suite("Verdicts")
struct JudgeTests {
    private func verdict(_ subject: Case, _ prepare: (FakeEngine) -> Void = { _ in }) -> Verdict {
        let engine = FakeEngine()
        prepare(engine)
        var subject = subject
        subject.devices = ["fake:x"]
        return Judge(EngineSet(oracle: BuiltinEngine(DeviceSet([ReferenceDevice()])), engines: [engine])).judge(
            subject)[0]
    }

    private func failure(_ check: Check = .agrees, _ steps: [Step] = Self.steps, _ prepare: (FakeEngine) -> Void)
        -> Failure?
    {
        verdict(Toy.subject(check, steps, sequences: 2), prepare).failure
    }

    private func discard(_ check: Check = .agrees, _ prepare: (FakeEngine) -> Void) -> String? {
        if case .discarded(let reason) = verdict(Toy.subject(check, Self.steps), prepare).outcome {
            reason
        } else {
            nil
        }
    }

    private static let steps: [Step] = [
        .process(Batch([1, 2, 3])), .save(sequence: nil), .process(Batch([4], from: 3)), .restore(sequence: nil),
        .process(Batch([4, 5], from: 3)),
    ]

    @Test("an engine that gives no gradients is not asked for them")
    func gradients() { #expect(discard(.gradients) { _ in } == "unsupported: gradients") }

    @Test("an engine that is right passes every check", arguments: Check.usual)
    func passes(_ check: Check) throws {
        var subject = Toy.subject(check, Self.steps, placement: Placement("fake:x"))
        if check == .metamorphic { subject.transformation = Transformation(kind: .heads, seed: 1) }
        if check == .rejects {
            subject.contradiction = Contradiction(key: "llama.block_count", kind: .missing, value: nil)
            subject.metadata["llama.block_count"] = nil
        }
        let verdict = verdict(subject)
        #expect(verdict.outcome == .passed && verdict.device == "fake:x")
        #expect(verdict.worst ?? 0 < NoiseFloor.limit / 2)
    }

    @Test("rows that are further off than rounding brings them are a mismatch, those within are not")
    func mismatches() throws {
        let wrong = try #require(
            failure { $0.change = { transcript, _, _ in transcript.changeRow { $0[40] *= 1.001 } } })
        #expect(
            wrong.signature
                == Signature(
                    check: .agrees, device: "fake:x", architecture: "llama", stage: "process", kind: "mismatch"))
        #expect(wrong.seen.hasPrefix("row 1 of step 4: error "))

        let near = verdict(Toy.subject(.agrees)) {
            $0.change = { transcript, _, _ in transcript.changeRow { $0[0] *= 1 + 0x1p-22 } }
        }
        #expect(near.outcome == .passed && near.worst ?? 0 > 0)
    }

    @Test("a NaN or an infinity that the reference lacks is not finite")
    func notFinite() {
        for number in [Double.nan, .infinity] {
            let wrong = failure { $0.change = { transcript, _, _ in transcript.changeRow { $0[3] = number } } }
            #expect(wrong?.signature.kind == "not finite" && wrong?.seen == "row 0 of step 4: not finite")
        }
    }

    @Test("rows that are missing, too many or of another width are wrong rows")
    func wrongRows() {
        let changes: [(inout Transcript) -> Void] = [
            { $0.results[4].logits = nil }, { $0.results[4].logits?.keys = [0, 2] },
            { $0.results[1].logits = Rows(keys: [0], width: 32, elements: Array(repeating: 0, count: 32)) },
            { $0.results[4].logits = Rows(keys: [0, 1], width: 16, elements: Array(repeating: 0, count: 32)) },
        ]
        for change in changes {
            #expect(failure { $0.change = { transcript, _, _ in change(&transcript) } }?.signature.kind == "wrong rows")
        }
    }

    @Test("steps that are left out, refused or failed")
    func steps() {
        let short = failure { $0.change = { transcript, _, _ in transcript.results.removeLast() } }
        #expect(short?.seen == "4 of 5 steps")
        let refused = failure { $0.change = { transcript, _, _ in transcript.results[3].isDone = false } }
        #expect(refused?.signature.kind == "refused step" && refused?.signature.stage == "restore")
        let failed = failure {
            $0.change = { transcript, _, _ in transcript = Transcript(failure: .init(step: 1, reason: "out of luck")) }
        }
        #expect(
            failed?.signature.stage == "save"
                && failed?.signature.kind == "error: out of luck" && failed?.seen == "out of luck")
        let unopened = failure {
            $0.change = { transcript, _, _ in transcript = Transcript(failure: .init(step: nil, reason: "no")) }
        }
        #expect(unopened?.signature.stage == "session")
    }

    @Test("deaths are told by cause, and by what was last said without its numbers")
    func deaths() {
        func death(_ cause: EngineDeath.Cause, _ words: String = "", step: Int? = nil) -> Signature? {
            failure { $0.change = { _, _, _ in throw EngineDeath(cause, lastWords: words, step: step) } }?.signature
        }
        #expect(death(.signal(11, "SIGSEGV"))?.kind == "SIGSEGV")
        #expect(death(.signal(6, "SIGABRT"), "/home/me/a.c:17: assert n < 3")?.kind == "SIGABRT: a.c: assert n < N")
        // What was only said before it died is not why.
        #expect(death(.signal(6, "SIGABRT"), "loading 3 tensors")?.kind == "SIGABRT")
        #expect(death(.exit(3))?.kind == "exit 3")
        #expect(death(.hang(.seconds(1)))?.kind == "hang" && death(.memory(1 << 30))?.kind == "memory")
        #expect(death(.protocolViolation("x"))?.kind == "protocol")
        #expect(death(.exit(1), step: 3)?.stage == "restore" && death(.exit(1))?.stage == "session")
        #expect(death(.exit(1), step: 99)?.stage == "session")
        let loading = failure { $0.refusal = EngineDeath(.exit(2)) }
        #expect(loading?.signature.stage == "load")
    }

    @Test("refusing a valid model is a failure of an engine that refuses only what is invalid")
    func refusals() {
        let refused = failure { $0.refusal = Refusal("llama.block_count: too few") }
        #expect(refused?.signature.kind == "refused" && refused?.signature.stage == "load")
        let unclear = discard {
            $0.refusal = Refusal("cannot load")
            $0.refusesOnlyInvalid = false
        }
        #expect(unclear == "unsupported: cannot load")
        struct Other: Error {}
        #expect(failure { $0.refusal = Other() }?.signature.kind.hasPrefix("error: ") == true)
    }

    @Test("what is unsupported, or not there, says nothing")
    func discards() {
        #expect(discard { $0.refusal = Unsupported("experts") } == "unsupported: experts")
        #expect(discard { $0.change = { _, _, _ in throw Unsupported("steps") } } == "unsupported: steps")
        #expect(discard(.roundtrip) { $0.saved = { _ in throw Unsupported("saving") } } == "unsupported: saving")
        let long = discard(.roundtrip) { $0.savedLength = 2 << 30 }
        #expect(long == "limit: a saved model of more than 1024 MiB is not read")
        let large = discard { $0.change = { _, _, _ in throw EngineDeath(.memory(1 << 16)) } }
        #expect(large == "limit: a worker may use 0 MiB, and the model is large")
        let judge = Judge(EngineSet(Toy.engine()))
        #expect(
            judge.judge(Toy.subject(.agrees, devices: ["vulkan99"]))[0].outcome
                == .discarded("there is no device vulkan99"))
        let elsewhere = Toy.subject(
            .placement, placement: Placement("cpu", layers: [.init(first: 0, last: nil, device: "vulkan99")]))
        #expect(judge.judge(elsewhere)[0].outcome == .discarded("there is no device vulkan99"))
    }

    /// A case whose reference makes narrow decisions: the last row is changed by as much as the decisions say.
    /// - Parameters:
    ///   - decisions: how many.
    ///   - effect: what decision `i` does to the last row's first number where it takes the other candidate.
    ///   - error: what the device has there.
    private func outcome(decisions: Int, _ effect: @escaping (Int) -> Double, error: Double) -> Verdict.Outcome {
        let oracle = FakeEngine()
        oracle.change = { transcript, script, _ in
            let prescribed = script.options.decisions ?? []
            let noise = script.options.rounding.map { $0.seed % 2 == 0 ? 1e-9 : -1e-9 } ?? 0
            for index in 0..<decisions {
                let taken = index < prescribed.count ? prescribed[index] : [0]
                if taken == [1] { transcript.changeRow { $0[0] += effect(index) } }
                transcript.decisions.append(
                    Decision(
                        taken: taken, least: [.init(index: taken[0], score: noise)],
                        greatest: [.init(index: 1 - taken[0], score: 0)]))
            }
        }
        let engine = FakeEngine()
        engine.change = { transcript, _, _ in transcript.changeRow { $0[0] += error } }
        let judge = Judge(EngineSet(oracle: oracle, engines: [engine]))
        return judge.judge(Toy.subject(.agrees, devices: ["fake:x"]))[0].outcome
    }

    @Test("a narrow decision excuses what is right if it falls otherwise, and nothing else")
    func ties() {
        #expect(outcome(decisions: 1, { _ in 1 }, error: 1) == .passed)
        #expect(outcome(decisions: 3, { Double(1 << $0) }, error: 5) == .passed)
        func isFailed(_ outcome: Verdict.Outcome) -> Bool { if case .failed = outcome { true } else { false } }
        #expect(isFailed(outcome(decisions: 1, { _ in 1 }, error: 2)))
        #expect(isFailed(outcome(decisions: 3, { Double(1 << $0) }, error: 8)))
        #expect(isFailed(outcome(decisions: 0, { _ in 1 }, error: 1)))
    }

    @Test("more narrow decisions than can be tried leave it undecided")
    func manyTies() {
        #expect(
            outcome(decisions: 12, { Double(1 << $0) }, error: 1e6)
                == .discarded("ties: more than 64 ways to choose among experts"))
    }

    @Test("an error that correct arithmetic seldom makes is sampled for before a device is accused of it")
    func rareErrors() {
        // An oracle whose fortieth sample turns over what a device has turned over.
        let oracle = FakeEngine()
        oracle.change = { transcript, script, _ in
            if script.options.rounding?.seed == 40 { transcript.changeRow { $0[0] += 1 } }
        }
        let engine = FakeEngine()
        engine.change = { transcript, _, _ in transcript.changeRow { $0[0] += 1 } }
        let engines = EngineSet(oracle: oracle, engines: [engine])
        let subject = Toy.subject(.agrees, devices: ["fake:x"])
        #expect(Judge(engines).judge(subject)[0].outcome == .passed)
        #expect(
            Judge(engines, provesFailures: false).judge(subject)[0].failure?.signature.kind == "mismatch")
    }

    @Test("other bits on another run, from a saved model or from a file")
    func bits() {
        func kind(_ check: Check, _ prepare: (FakeEngine) -> Void) -> String? {
            failure(check, Self.steps, prepare)?.signature.kind
        }
        let last: (inout Transcript) -> Void = { $0.changeRow { $0[0] = $0[0].nextUp } }
        #expect(
            kind(.determinism) { $0.change = { transcript, _, run in if run == 3 { last(&transcript) } } }
                == "other bits")
        #expect(
            kind(.roundtrip) { $0.change = { transcript, _, run in if run == 2 { last(&transcript) } } } == "other bits"
        )
        #expect(kind(.loaders) { $0.changeOfFiles = last } == "other bits")
    }

    @Test("a saved model that is not the model")
    func saving() throws {
        func kind(_ saved: @escaping ([UInt8]) throws -> [UInt8]) -> String? {
            failure(.roundtrip) { $0.saved = saved }?.signature.kind
        }
        #expect(kind { _ in [1, 2, 3] } == "not a GGUF file")
        #expect(kind { Array($0.dropLast(100)) } == "not a GGUF file")
        #expect(
            kind { bytes in
                var bytes = bytes
                bytes[bytes.count - 1] ^= 1
                return bytes
            } == "other tensors")
        #expect(
            kind { _ in
                var other = Toy.metadata
                other["llama.attention.layer_norm_rms_epsilon"] = 1e-6
                return try MemorySource(other, optional: .only([]), recipe: WeightRecipe(seed: 1)).bytesOfFile()
            } == "other metadata")
    }

    @Test("histories that are not kept", arguments: [Check.chunking, .isolation, .state])
    func histories(_ check: Check) {
        // Whatever has more than one step is a little off.
        let wrong = failure(check) {
            $0.change = { transcript, script, _ in if script.steps.count > 1 { transcript.changeRow { $0[0] += 0.01 } }
            }
        }
        #expect(wrong?.signature.kind == "mismatch" && wrong?.signature.check == check)
    }

    @Test("invalid metadata that is accepted, or refused without a name")
    func rejects() {
        var subject = Toy.subject(.rejects)
        subject.contradiction = Contradiction(key: "llama.block_count", kind: .belowRange, value: 0)
        // The fake looks at nothing, since the metadata is as it should be.
        let unnamed = verdict(subject) { $0.refusal = Refusal("something is wrong") }
        #expect(unnamed.failure?.signature.kind == "unnamed")
        let named = verdict(subject) { $0.refusal = Refusal("llama.block_count: 0 blocks") }
        #expect(named.outcome == .passed)
        let died = verdict(subject) { $0.refusal = EngineDeath(.signal(8, "SIGFPE")) }
        #expect(died.failure?.signature.kind == "SIGFPE")
    }
}
