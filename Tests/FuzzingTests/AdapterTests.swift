import Architectures
import Devices
import Engines
import GGUF
import Inference
import PropertyTesting
import Testing

@testable import Fuzzing

/// The builtin engine, asked for adapters, which it may scale wrongly.
private final class AdaptableEngine: Engine {
    let name = "adaptable"
    let base = Toy.engine()
    let factor: Double
    var devices: [EngineDevice] { base.devices.filter { $0.name != EngineSet.reference } }
    let traits = EngineTraits(adapters: Adapter.Kind.allCases)

    init(factor: Double = 1) { self.factor = factor }

    func load(_ source: any TensorSource) throws -> any EngineModel {
        AdaptableModel(try base.load(source), factor)
    }
    func load(file path: String) throws -> any EngineModel { AdaptableModel(try base.load(file: path), factor) }
}

private final class AdaptableModel: EngineModel {
    private let base: any EngineModel
    private let factor: Double

    init(_ base: any EngineModel, _ factor: Double) { (self.base, self.factor) = (base, factor) }

    func run(_ script: Script, willBegin: (Int) -> Void) throws -> Transcript {
        try base.run(script, willBegin: willBegin)
    }
    func adapt(by adapters: [AdapterFile]) throws {
        try base.adapt(by: adapters.map { AdapterFile(path: $0.path, scale: factor * $0.scale, layers: $0.layers) })
    }
    func save(to path: String) throws { try base.save(to: path) }
}

@Suite("Cases with adapters")
struct AdapterTests {
    private func drawing(_ name: String, _ checks: [Check] = [.agrees]) throws -> CaseDrawing {
        CaseDrawing(
            try ArchitectureCatalog.named(name), devices: ["cpu"], placeable: ["cpu"], checks: checks,
            traits: AdaptableEngine().traits)
    }

    /// The first cases that have adapters, each with its seed.
    private func cases(
        of name: String, _ count: Int, _ checks: [Check] = [.agrees]
    ) throws -> [(seed: UInt64, case: Case)] {
        let drawing = try drawing(name, checks)
        var found: [(seed: UInt64, case: Case)] = []
        for seed in UInt64(0)..<2000 where found.count < count {
            var choices = Choices(seed: seed, stream: 7)
            let subject = try drawing.draw(&choices)
            if subject.adapters != nil { found.append((seed, subject)) }
        }
        return found
    }

    private func judge(factor: Double = 1) -> Judge {
        Judge(EngineSet(oracle: Toy.engine(), engines: [AdaptableEngine(factor: factor)]))
    }

    @Test("are drawn for engines that take them only, and their choices are found again", arguments: [
        "llama", "qwen3moe", "deepseek2", "mamba", "t5", "bert",
    ])
    func drawn(_ name: String) throws {
        let cases = try cases(of: name, 8)
        #expect(cases.count == 8)
        let space = CaseSpace(drawing: try drawing(name))
        for (seed, subject) in cases {
            #expect(subject.flaw(largest: Case.largest()) == nil, "seed \(seed)")
            let again = try #require(space.replay(try space.recover(subject)), "seed \(seed)")
            #expect(again.adapters == subject.adapters, "seed \(seed)")
        }
        for (seed, subject) in try Samples.cases(of: name, 40) { #expect(subject.adapters == nil, "seed \(seed)") }
    }

    @Test("steer no draft, which keeps of context no more than keys and values", arguments: ["dflash", "eagle3"])
    func drafts(_ name: String) throws {
        for (seed, subject) in try cases(of: name, 20) { #expect(!subject.isSteered, "seed \(seed)") }
    }

    @Test("agree with the reference", arguments: ["llama", "qwen3moe", "deepseek2", "gemma3", "rwkv6", "t5"])
    func agree(_ name: String) throws {
        for (seed, subject) in try cases(of: name, 4) {
            let verdict = try #require(judge().judge(subject).first)
            #expect(verdict.failure == nil, "seed \(seed): \(verdict)")
        }
    }

    @Test("of which an engine scales some wrongly are cut down to a matrix, and what matters stays")
    func wrongScale() throws {
        let (seed, subject) = try #require(try cases(of: "llama", 1).first)
        let judge = judge(factor: 1.5)
        let failure = try #require(judge.judge(subject).first?.failure, "seed \(seed)")
        let shrunk = try #require(CaseShrinker(try drawing("llama"), judge, budget: 400).shrink(subject, failure))
        #expect(shrunk.case.layers == 1 && shrunk.case.tokens == 1)
        guard case .lora(let lora)? = shrunk.case.adapters?.first, shrunk.case.adapters?.count == 1 else {
            Issue.record("seed \(seed): \(shrunk.case.adapters ?? [])")
            return
        }
        #expect(lora == Adapter.LoRA(tensors: lora.tensors) && lora.tensors.count == 1)
        let answer = CauseSearch(judge: judge).answer(shrunk.case, shrunk.failure)
        #expect(answer.cause.needs == lora.tensors.map { "adapter of \($0.withoutBlock)" })
    }

    @Test("keep the adapters of the layers that are left")
    func fewerLayers() throws {
        var subject = Toy.subject(.agrees)
        subject.metadata["llama.block_count"] = 3
        subject.adapters = [
            .lora(.init(tensors: ["blk.1.attn_q.weight", "blk.2.attn_q.weight"])),
            .controlVector(.init(first: 1, last: 2)),
        ]
        #expect(try subject.removing(layer: 1).adapters == [
            .lora(.init(tensors: ["blk.1.attn_q.weight"])), .controlVector(.init(first: 1, last: 1)),
        ])
        #expect(try subject.removing(layer: 2).removing(layer: 1).adapters == nil)
    }

    @Test("of files edited by hand that no model can have are refused")
    func flaws() throws {
        func flaw(_ check: Check = .agrees, _ adapters: Adapter...) -> String? {
            var subject = Toy.subject(check)
            subject.metadata["llama.block_count"] = 2
            subject.adapters = adapters
            return subject.flaw(largest: Case.largest())
        }
        let matrix = "blk.0.attn_q.weight"
        #expect(flaw(.agrees, .lora(.init(tensors: [matrix]))) == nil)
        #expect(flaw(.loaders, .lora(.init(tensors: [matrix]))) == "adapters: the check loaders has none")
        #expect(flaw(.agrees, .lora(.init(rank: 0, tensors: [matrix]))) == "adapters[0].lora.rank: must be 1 to 4096")
        #expect(flaw(.agrees, .lora(.init(alpha: .nan, tensors: [matrix])))?.contains("lora.alpha: ") ?? false)
        #expect(flaw(.agrees, .lora(.init(tensors: [])))?.contains("names no matrix") ?? false)
        #expect(flaw(.agrees, .lora(.init(tensors: ["blk.0.attn_x.weight"])))?.contains("close to it: ") ?? false)
        #expect(flaw(.agrees, .lora(.init(tensors: ["output_norm.weight"])))?.contains("no matrix") ?? false)
        #expect(flaw(.agrees, .controlVector(.init(first: 1, last: 1))) == nil)
        #expect(flaw(.agrees, .controlVector(.init(first: 0, last: 1)))?.contains("first, last: ") ?? false)
        #expect(flaw(.agrees, .controlVector(.init(first: 1, last: 1)), .controlVector(.init(first: 1, last: 1)))?
            .contains("one control vector") ?? false)
        #expect(flaw(.malformed, .controlVector(.init(first: 1, last: 1)))?.contains("a lora") ?? false)
    }

    @Test("are set by the programs that show them, from files beside the model")
    func programs() throws {
        var subject = Toy.subject(.agrees, [.process(Batch([1, 2]))])
        subject.metadata["llama.block_count"] = 2
        subject.adapters = [
            .lora(.init(scale: 0.5, tensors: ["blk.0.attn_q.weight"])), .controlVector(.init(first: 1, last: 1)),
        ]
        func program(_ check: Check) throws -> LlamaProgram {
            subject.check = check
            let entry = CorpusEntry(
                case: subject,
                signature: Signature(
                    check: check, device: "llama:CPU", architecture: "llama", stage: "process", kind: "mismatch"),
                seen: "", found: .init(seed: 0, index: 0, version: "1"))
            return try LlamaProgram(entry, .init(origin: "x.json", model: "m.gguf"))
        }
        let shown = try program(.agrees)
        #expect(shown.adapters.count == 2 && shown.limits.isEmpty)
        #expect(shown.text.contains(#"adapt(ctx, {{"m-adapter-0.gguf", 0.5f}});"#))
        #expect(shown.text.contains(#"steer(ctx, "m-adapter-1.gguf", 1.0f, 1, 1);"#))
        subject.adapters?.removeLast()
        subject.damages = []
        let damaged = try program(.malformed)
        #expect(damaged.adapters.count == 1)
        #expect(damaged.text.contains(#"llama_adapter_lora_init(model, "m-adapter-0.gguf")"#))
    }

    @Test("whose file is damaged are refused, or are the same", arguments: ["llama", "qwen3moe"])
    func damaged(_ name: String) throws {
        let cases = try cases(of: name, 60, [.malformed])
        #expect(cases.count == 60)
        for (seed, subject) in cases {
            let verdict = try #require(judge().judge(subject).first)
            #expect(verdict.failure == nil, "seed \(seed): \(verdict)")
        }
    }
}
