import Architectures
import Devices
import Engines
import Faults
import GGUF
import Inference
import Testing
import Tokenizers

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
            Toy.subject(.trains).source(), .byHeart(optimiser), on: CPUDevice(), options: SessionOptions(context: 64))
        let losses = try (0..<4).map { _ in try trainer.step(Batch([3, 1, 4, 1, 5])) }
        #expect(zip(losses, losses.dropFirst()).allSatisfy { $0 > $1 })
        let (before, after) = (try Toy.subject(.trains).source(), try trainer.trained())
        #expect(before.tensors.map(\.name) == after.tensors.map(\.name))
        #expect(after.tensors.allSatisfy { $0.type == .f32 })
    }

    @Test("say it with matrices of whatever type they learned it", arguments: [TensorType.q8_0, .q4_0, .iq4_NL, .mxfp4])
    func types(type: TensorType) throws {
        let source = try Toy.subject(.trains, Self.text).source()
        let script = Toy.subject(.trains, Self.text).script
        let recipe = WeightRecipe(seed: 1, type: type)
        let lesson = Lesson(script, .byHeart(steps: 1000))
        let learned = try lesson.learned(by: source, types: recipe.type(of:)).model
        #expect(learned.tensors.contains { $0.type == type })
        #expect(try lesson.mistake(of: learned) == nil)
    }
}

@Suite("Toys that speak")
struct SpeakingToyTests {
    private static let text = "All that is gold does not glitter"

    private func toy(_ name: String, _ speech: Speech, type: TensorType = .f32) throws -> SpeakingToy {
        for index in 0..<20 as Range<UInt64> {
            do {
                return try SpeakingToy(ArchitectureCatalog.named(name), seed: 1, index: index, speech, type: type)
            } catch is SpeakingToy.Unsuitable {
                continue
            }
        }
        throw SpeakingToy.Unsuitable("none of 20 models")
    }

    @Test("have the text's words for tokens, and one that ends it")
    func words() throws {
        let speech = try Speech("to be  or not\nto be", .words)
        #expect(speech.tokens == [3, 4, 5, 6, 7, 4, 2])
        #expect(speech.prompt == "to" && speech.rest == " be or not to be" && speech.promptTokens == [3])
        let source = try toy("llama", speech).source
        #expect(try Tokenizer(source.metadata).encode("to be or") == [3, 4, 5])
        #expect(source.metadata.integer("llama.vocab_size") == source.metadata.array("tokenizer.ggml.tokens")?.count)
    }

    @Test("have bytes for tokens, of any text")
    func bytes() throws {
        let text = "Ärger \u{1F600}"
        let speech = try Speech(text, .bytes)
        #expect(speech.tokens == text.utf8.map { Int($0) } + [256])
        #expect(speech.prompt == "Ärger" && speech.rest == " \u{1F600}")
    }

    @Test("are as wide as the blocks of the type that their matrices are to have", arguments: [TensorType.q4_K, .iq2_XXS])
    func blocks(type: TensorType) throws {
        let source = try toy("llama", Speech(Self.text, .words), type: type).source
        #expect(source.tensors.contains { $0.type == type })
    }

    @Test("have no text to say where they give no logits")
    func encoders() throws {
        let speech = try Speech(Self.text, .words)
        let error = #expect(throws: SpeakingToy.Unsuitable.self) {
            try SpeakingToy(ArchitectureCatalog.named("wavtokenizer-dec"), seed: 1, index: 0, speech)
        }
        #expect(error?.description == "gives no logits")
        #expect(throws: SpeechError.self) { try Speech("one", .words) }
    }
}
