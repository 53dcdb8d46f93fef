import Architectures
import Devices
import Engines
import Faults
import Inference
import Testing

@testable import Fuzzing

@Suite("Toys that learn")
struct LessonTests {
    private static let text = [Step.process(Batch([3, 1, 4, 1, 5]))]

    private func judge(_ subject: Case, fault: Fault? = nil) -> Verdict {
        let engine = BuiltinEngine(DeviceSet([ReferenceDevice(), CPUDevice()]), fault: fault)
        return Judge(EngineSet(engine)).judge(subject)[0]
    }

    @Test("say what they have learned", arguments: ["llama", "gpt2", "gemma3", "qwen3moe", "mamba", "rwkv7", "t5"])
    func learn(name: String) throws {
        let plan = FuzzPlan(
            seed: 1, architectures: [try ArchitectureCatalog.named(name)], checks: [.trains], devices: ["cpu"],
            placeable: ["cpu"])
        let outcomes = try (0..<3 as Range<UInt64>).map { index in
            let subject = try plan.draw(index).case
            #expect(try subject.check == .trains && subject.objection() == nil)
            return judge(subject).outcome
        }
        // Not every toy learns every text.
        #expect(outcomes.contains(.passed))
        #expect(outcomes.allSatisfy { $0 == .passed || $0 == .discarded("the toy does not learn the text") })
    }

    @Test("tell one place of a token in the text from another")
    func context() { #expect(judge(Toy.subject(.trains, Self.text)).outcome == .passed) }

    @Test("say something else on a device that is wrong")
    func wrong() throws {
        let fault = Fault.scaling("token_embd.weight", by: -1)
        let failure = try #require(judge(Toy.subject(.trains, Self.text), fault: fault).failure)
        #expect(failure.signature.kind == "says something else" && failure.signature.stage == "process")
        #expect(failure.seen.hasPrefix("after token 0 of the text comes ") && failure.seen.hasSuffix(", not 1"))
    }

    @Test("do not learn what contradicts itself")
    func contradiction() {
        // The first token is followed by another one in each sequence.
        let tokens = [(7, 0, 0), (1, 1, 0), (7, 0, 1), (2, 1, 1)].map { Batch.Token(id: $0, position: $1, sequences: [$2]) }
        let outcome = judge(Toy.subject(.trains, [.process(Batch(tokens))], sequences: 2)).outcome
        #expect(outcome == .discarded("the toy does not learn the text"))
    }

    @Test("have a lower loss after each of the first steps of either optimiser", arguments: Optimiser.allCases)
    func optimisers(optimiser: Optimiser) throws {
        let trainer = try Trainer(
            Toy.subject(.trains).source(), optimiser, on: CPUDevice(), options: SessionOptions(context: 64))
        let losses = try (0..<4).map { _ in try trainer.step(Batch([3, 1, 4, 1, 5])) }
        #expect(zip(losses, losses.dropFirst()).allSatisfy { $0 > $1 })
        let (before, after) = (try Toy.subject(.trains).source(), try trainer.trained())
        #expect(before.tensors.map(\.name) == after.tensors.map(\.name))
        #expect(after.tensors.allSatisfy { $0.type == .f32 })
    }
}
