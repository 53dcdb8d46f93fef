import Architectures
import Devices
import Engines
import Faults
import Inference
import PropertyTesting
import Testing

@testable import Fuzzing

@Suite("Gradients")
struct GradientsTests {
    private func judge(_ subject: Case, fault: Fault? = nil) -> Verdict {
        let engine = BuiltinEngine(DeviceSet([ReferenceDevice(), CPUDevice()]), fault: fault)
        return Judge(EngineSet(engine), provesFailures: false).judge(subject)[0]
    }

    private func cases(of name: String, _ count: UInt64) throws -> [Case] {
        let plan = FuzzPlan(
            seed: 1, architectures: [try ArchitectureCatalog.named(name)], checks: [.gradients], devices: ["cpu"],
            placeable: ["cpu"], traits: Toy.engine().traits)
        return try (0..<count).map { try plan.draw($0).case }
    }

    @Test(
        "are the slopes of losses, on the reference and on cpu",
        arguments: [
            "llama", "gpt2", "gemma3", "qwen3moe", "mamba", "mamba2", "rwkv6", "rwkv7", "qwen3next", "t5", "bert",
            "deepseek2", "gpt-oss", "lfm2", "bloom", "wavtokenizer-dec", "eagle3", "clef",
        ])
    func slopes(name: String) throws {
        for subject in try cases(of: name, 3) {
            let outcome = judge(subject).outcome
            #expect(outcome == .passed, "\(outcome)")
        }
    }

    @Test(
        "that are wrong are found",
        arguments: [
            ("gradient-mask-forgotten", "llama"), ("gradient-scale-squared", "llama"),
            ("gradient-of-softmax-without-mean", "gpt2"),
            ("gradient-of-last-expert-lost", "qwen3moe"), ("gradient-of-first-expert-only", "qwen3moe"),
            ("gradient-of-row-overwritten", "gpt2"), ("gradient-rotated-forward", "llama"),
            ("gradient-of-norm-by-sum", "llama"),
            ("gradient-within-a-token", "rwkv7"), ("gradient-to-the-wrong-neighbour", "mamba"),
            ("gradient-of-sum-of-losses", "llama"), ("gradient-through-closed-relu", "gemma3n"),
            ("gradient-of-first-bucket-only", "t5"),
        ])
    func faults(name: String, architecture: String) throws {
        let fault = try FaultCatalogue.named(name)
        #expect(fault.isOfGradients)
        let isFound = try cases(of: architecture, 8).contains { judge($0, fault: fault).failure != nil }
        #expect(isFound)
    }

    @Test("of a weight that is wrong say which")
    func words() throws {
        let fault = try FaultCatalogue.named("gradient-of-sum-of-losses")
        let failure = try #require(judge(Toy.subject(.gradients), fault: fault).failure)
        #expect(failure.signature.stage == "gradient" && failure.signature.kind == "mismatch")
        #expect(failure.seen.hasPrefix("the gradient of "))
    }

    @Test("are of one batch")
    func batches() throws {
        let two = Toy.subject(.gradients, [.process(Batch([1, 2])), .process(Batch([3], from: 2))])
        #expect(try two.objection() == "script.steps: a gradient is of one batch, in one micro-batch")
        #expect(judge(two).outcome == .discarded("unsupported: gradients of other than one batch"))
    }

    @Test("are drawn where they are asked for only, and found again by their choices")
    func drawing() throws {
        #expect(!Check.usual.contains(.gradients))
        for name in ["llama", "t5", "mamba", "bert"] {
            let drawing = CaseDrawing(
                try ArchitectureCatalog.named(name), devices: ["cpu"], placeable: ["cpu"], checks: [.gradients])
            for seed in 0..<8 as Range<UInt64> {
                var choices = Choices(seed: seed, stream: 3)
                let subject = try drawing.draw(&choices)
                #expect(try subject.check == .gradients && subject.objection() == nil)
                let recording = try CaseSpace(drawing: drawing).recover(subject)
                #expect(CaseSpace(drawing: drawing).replay(recording) == subject)
            }
        }
    }
}
