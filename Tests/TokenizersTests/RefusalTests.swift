import GGUF
import Testing

@testable import Tokenizers

@Suite("A tokenizer is refused")
struct RefusalTests {
    private func refusal(_ metadata: Metadata, _ text: String = "hello <s> 中\n") -> TokenizerError? {
        #expect(throws: TokenizerError.self) {
            _ = try Tokenizer(metadata).encode(text, addSpecial: true, parseSpecial: true)
        }
    }

    @Test("where its model is missing, unknown or none", arguments: ["no_vocab", "none", "tiktoken"])
    func model(name: String) {
        #expect(refusal(metadata(name, normal("a")))?.description.hasPrefix("tokenizer.ggml.model: ") == true)
        #expect(refusal(metadata(name, normal("a")))?.reason.contains("\"\(name)\"") == true)
        #expect(refusal([:])?.description == "tokenizer.ggml.model: is missing")
    }

    @Test("where its pre-tokenizer is unknown, naming key and value")
    func preTokenizer() {
        let error = refusal(bytePair("gpt-5"))
        #expect(error?.key == "tokenizer.ggml.pre" && error?.reason.contains("\"gpt-5\"") == true)
    }

    @Test("where a value has the wrong type", arguments: [
        "model", "pre", "tokens", "token_type", "scores", "merges", "bos_token_id", "add_bos_token", "add_eos_token",
        "add_space_prefix", "remove_extra_whitespaces", "normalizer.lowercase", "normalizer.strip_accents",
    ])
    func types(name: String) {
        var metadata = bytePair("gpt-2")
        metadata["tokenizer.ggml." + name] = .array(.float64([1]))
        #expect(refusal(metadata)?.key == "tokenizer.ggml." + name)
    }

    @Test("where arrays are too short, two tokens are one, or tokens are missing")
    func tokens() {
        var metadata = bytePair("gpt-2")
        metadata["tokenizer.ggml.token_type"] = .array(.int32([1]))
        #expect(refusal(metadata)?.reason == "has 1 elements for 270 tokens")
        metadata = sentencePiece()
        metadata["tokenizer.ggml.scores"] = .array(.float32([1]))
        #expect(refusal(metadata)?.key == "tokenizer.ggml.scores")
        metadata["tokenizer.ggml.tokens"] = .array(.string(["a", "b", "a"]))
        #expect(refusal(metadata)?.reason == "0 and 2 are both \"a\"")
        metadata["tokenizer.ggml.tokens"] = nil
        #expect(refusal(metadata)?.reason == "is missing")
    }

    @Test("where a text needs a token that there is not")
    func needs() {
        #expect(refusal(metadata("llama", normal("a", "b", "c")))?.reason.contains("<0xE2>") == true)
        #expect(refusal(metadata("rwkv", normal("a")))?.key == "tokenizer.ggml.tokens")
        #expect(refusal(metadata("plamo2", normal("a")))?.reason.contains("<0x00>") == true)
        #expect(refusal(metadata("bert", normal("a")))?.key == "tokenizer.ggml.bos_token_id")
        #expect(refusal(metadata("t5", normal("a")))?.key == "tokenizer.ggml.unknown_token_id")
    }

    @Test("where its map of replacements is cut short or points out of itself")
    func characterMap() {
        for data in [[], [1], [4, 0, 0, 0], [4, 0, 0, 0, 0, 4, 0, 0], [4, 0, 0, 0, 0, 4, 0, 0, 9]] as [[UInt8]] {
            #expect(
                refusal(unigram(["precompiled_charsmap": .array(.uint8(data))]))?.key
                    == "tokenizer.ggml.precompiled_charsmap")
        }
    }

    @Test("where its map of replacements goes in a circle, or makes of a text what fills the memory")
    func hostileCharacterMap() {
        /// - Parameters:
        ///   - units: those that are not 0.
        ///   - replacement: of what has one.
        func map(_ units: [Int: UInt32], _ replacement: [UInt8]) -> Metadata {
            let array = (0..<0x64).flatMap { index in
                (0..<4).map { UInt8(truncatingIfNeeded: (units[index] ?? 0) >> (8 * $0)) }
            }
            let size = [UInt8(array.count & 0xFF), UInt8(array.count >> 8), 0, 0]
            return unigram(["precompiled_charsmap": .array(.uint8(size + array + replacement + [0]))])
        }
        let text = String(repeating: "a", count: 1000)
        // After each letter it is where it was before.
        #expect(refusal(map([0x61: 0x61 << 10 | 0x61], []), text)?.reason == "points in a circle")
        // Each letter has a value, which hangs on unit 0x62.
        let growing = map([0x61: 3 << 10 | 0x100 | 0x61], Array(repeating: UInt8(ascii: "b"), count: 1000))
        #expect(refusal(growing, text)?.reason == "makes a text more than 16 times as long")
    }

    @Test("or used, but never traps, whatever its arrays hold")
    func hostile() {
        var stream = SystemRandomNumberGenerator()
        let seed = UInt64.random(in: 0...UInt64.max, using: &stream)
        var random = SplitMix(state: seed)
        let models = ModelKind.allCases.map(\.rawValue)
        let texts = ["", " ", "a", "ab", "a b", "<s>", "\u{0}", "▁", "<0x0A>", "\\x4", "\\", "é", "</s>", "\n", "Ġ"]
        for _ in 0..<400 {
            let count = Int.random(in: 0..<12, using: &random)
            func arrays() -> [String] { (0..<count).map { _ in texts.randomElement(using: &random) ?? "" } }
            var metadata: Metadata = ["tokenizer.ggml.model": .string(models.randomElement(using: &random) ?? "")]
            metadata["tokenizer.ggml.tokens"] = .array(.string(Array(Set(arrays())).sorted()))
            metadata["tokenizer.ggml.merges"] = .array(.string(arrays() + ["a b", "ab a", " ", "b  ", "a ", "ba ab"]))
            metadata["tokenizer.ggml.pre"] = .string(
                PreTokenizer.all.flatMap(\.names).randomElement(using: &random) ?? "")
            metadata["tokenizer.ggml.scores"] = .array(
                .float32((0..<12).map { _ in [.nan, .infinity, -.infinity, 0, -1].randomElement(using: &random) ?? 0 }))
            metadata["tokenizer.ggml.token_type"] = .array(
                .int32((0..<12).map { _ in Int32.random(in: -1...8, using: &random) }))
            metadata["tokenizer.ggml.unknown_token_id"] = .int64(Int64.random(in: -2...14, using: &random))
            metadata["tokenizer.ggml.bos_token_id"] = .uint64([0, 1, UInt64.max].randomElement(using: &random) ?? 0)
            metadata["tokenizer.ggml.precompiled_charsmap"] = .array(
                .uint8([8, 0, 0, 0] + (0..<12).map { _ in UInt8.random(in: 0...255, using: &random) } + [0]))
            do {
                let tokenizer = try Tokenizer(metadata)
                let ids = try tokenizer.encode(texts.joined(), addSpecial: true, parseSpecial: true)
                #expect(ids.allSatisfy { (0..<12).contains($0) }, "seed \(seed)")
            } catch {
                #expect(error is TokenizerError, "seed \(seed)")
            }
        }
    }
}

private struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = (state ^ state >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}
