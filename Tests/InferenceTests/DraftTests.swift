import Architectures
import Devices
import GGUF
import ModelGraph
import PropertyTesting
import Testing

@testable import Inference

@Suite("Drafts of another model's tokens")
struct DraftTests {
    /// The simplest model of the architecture.
    private func model(
        _ name: String, _ changes: [String: MetadataValue] = [:], optional: Set<String> = []
    ) throws -> Model {
        var choices = Choices(replaying: [])
        var metadata = try DrawnModel.draw(ArchitectureCatalog.named(name), &choices).metadata
        for (key, value) in changes { metadata["\(name).\(key)"] = value }
        return try Model(MemorySource(metadata, optional: .only(optional), recipe: WeightRecipe(seed: 1)))
    }

    private func context(_ numbers: [Int], from position: Int = 0) -> [Batch.Token] {
        numbers.enumerated().map { Batch.Token(id: ~$1, position: position + $0, wantsOutput: false) }
    }

    @Test("EAGLE-3 goes on from the state beside a token, or from what its target made of it")
    func eagle3() throws {
        let session = try model("eagle3").session()
        let beside = try session.process(Batch([3])).rows
        try session.clear()
        let fused = try session.process(Batch([.init(id: ~3, position: 0)])).rows
        #expect(beside.count == 1 && fused.count == 1)
        #expect(largestError(fused, beside) > 1e-3)
        #expect(throws: SessionError.self, "there is no such token") {
            try session.process(Batch([.init(id: ~32, position: 1)]))
        }
    }

    @Test("tokens of a DFlash block see its context, and later ones of the block unless they are causal")
    func dflash() throws {
        for isCausal in [false, true] {
            let session = try model("dflash", ["attention.causal": .bool(isCausal)]).session()
            func first(_ context: [Int], _ block: [Int]) throws -> [[Double]] {
                try session.clear()
                let tokens = self.context(context) + Batch(block, from: context.count).tokens
                return Array(try session.process(Batch(tokens)).rows.prefix(1))
            }
            let expected = try first([1, 2], [5, 6])
            #expect(largestError(try first([1, 3], [5, 6]), expected) > 1e-6, "another context")
            #expect((largestError(try first([1, 2], [5, 7]), expected) > 1e-6) != isCausal, "another token after it")
        }
    }

    @Test("context has no output, and comes before the tokens that see it")
    func contextRules() throws {
        let session = try model("dflash").session()
        #expect(try session.process(Batch(context([1, 2]))).rows.isEmpty)
        #expect(throws: SessionError.self) { try session.process(Batch([.init(id: ~1, position: 0)])) }
        #expect(throws: SessionError.self) { try session.process(Batch(Batch([1]).tokens + context([1], from: 1))) }
    }

    @Test("a draft of a part of the vocabulary never writes other tokens", arguments: ["eagle3", "dflash"])
    func draftVocabulary(_ name: String) throws {
        let model = try model(name, optional: ["d2t", OptionalTensor.name("d2t", rows: 16)])
        let row = try #require(try model.session().process(Batch([3])).rows.first)
        #expect(row.count == 32 && row.count { $0 == -.infinity } == 16)
        #expect(row.count(where: \.isFinite) == 16)
    }

    @Test("any number of tokens may be drafted, which only the tensor's size says")
    func anyDraftVocabulary() throws {
        let model = try model("eagle3", optional: ["d2t", OptionalTensor.name("d2t", rows: 7)])
        let row = try #require(try model.session().process(Batch([3])).rows.first)
        #expect(row.count(where: \.isFinite) == 7)
    }

    @Test("Gemma 4's draft sees the keys and values that earlier tokens came with")
    func gemma4Assistant() throws {
        let session = try model("gemma4-assistant").session()
        func last(_ tokens: [Int]) throws -> [[Double]] {
            try session.clear()
            return Array(try session.process(Batch(tokens)).rows.suffix(1))
        }
        let expected = try last([1, 2, 3])
        #expect(largestError(try last([1, 4, 3]), expected) > 1e-6)
        #expect(largestError(try last([1, 2, 3]), expected) == 0)
    }

    @Test("a window of Gemma 4's draft reaches as many positions back as its length")
    func gemma4AssistantWindow() throws {
        let windowed = try model("gemma4-assistant", [
            "attention.sliding_window": .uint32(2), "attention.sliding_window_pattern": .array(.bool([true, true])),
        ])
        let session = try windowed.session()
        func last(_ tokens: [Int]) throws -> [[Double]] {
            try session.clear()
            return Array(try session.process(Batch(tokens)).rows.suffix(1))
        }
        let expected = try last([1, 2, 3, 4])
        #expect(largestError(try last([5, 2, 3, 4]), expected) == 0, "three positions back")
        #expect(largestError(try last([1, 5, 3, 4]), expected) > 1e-6, "two positions back")
    }
}
