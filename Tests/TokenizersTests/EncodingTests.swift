import GGUF
import Testing

@testable import Tokenizers

@Suite("A tokenizer gives llama.cpp's tokens")
struct EncodingTests {
    private func expect(
        _ metadata: Metadata, _ text: String, _ plain: [Int], marked: [Int]? = nil,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let tokenizer = try Tokenizer(metadata)
        #expect(try tokenizer.encode(text) == plain, sourceLocation: sourceLocation)
        if let marked {
            #expect(
                try tokenizer.encode(text, addSpecial: true, parseSpecial: true) == marked,
                sourceLocation: sourceLocation)
        }
    }

    @Test("of byte pairs, cut as each pre-tokenizer cuts", arguments: [
        ("gpt-2", [259, 260, 32, 260, 263]), ("qwen2", [259, 260, 32, 260, 49, 50, 51, 52]),
        ("default", [259, 260, 32, 260, 261, 51, 52]), ("deepseek-v3", [259, 260, 32, 260, 261, 51, 52]),
        ("llama-bpe", [259, 260, 32, 260, 261, 51, 52]),
    ])
    func bytePairs(pre: String, ids: [Int]) throws {
        try expect(bytePair(pre), "hello hello  hello1234", ids, marked: pre == "llama-bpe" ? [266] + ids : ids)
        try expect(bytePair(pre), "e\u{301}\u{E9}\n", [101, 204, 129, 195, 169, 10])
        try expect(bytePair(pre), "", [])
    }

    @Test("of byte pairs, with the longest special token first")
    func specialTokens() throws {
        try expect(bytePair("gpt-2"), "<u>x<s>hello", [269, 60, 115, 62, 259], marked: [269, 266, 259])
    }

    @Test("of byte pairs, with beginning and end where the file says so")
    func beginningAndEnd() throws {
        let metadata = bytePair("gpt-2", ["add_bos_token": true, "add_eos_token": true])
        try expect(metadata, "hello", [259], marked: [266, 259, 267])
        try expect(metadata, "", [], marked: [266, 267])
    }

    @Test("of SentencePiece")
    func sentencePieces() throws {
        try expect(sentencePiece(), "abc ab", [266, 262, 266], marked: [1, 266, 262, 266])
        try expect(sentencePiece(), "  bcé", [268, 259, 264, 198, 172])
        try expect(sentencePiece(), "a<s>b", [265, 63, 118, 65, 261], marked: [1, 265, 1, 259, 261])
        try expect(sentencePiece(), "", [], marked: [1])
        let bare = sentencePiece(["add_space_prefix": false, "add_eos_token": true])
        try expect(bare, "abc ab", [267, 266], marked: [1, 267, 266, 2])
        try expect(bare, "a<s>b", [260, 63, 118, 65, 261], marked: [1, 260, 1, 261, 2])
    }

    @Test("of Phi-3, whose special tokens take the white space after them")
    func stripping() throws {
        let metadata = sentencePiece(["general.name": "Phi-3 tiny"], more: [("<|end|>", 3), ("<|endoftext|>", 3)])
        #expect(try Tokenizer(metadata).encode("a<|end|> \n b", parseSpecial: true) == [265, 269, 259, 261])
    }

    @Test("of WordPiece")
    func wordPieces() throws {
        try expect(wordPiece(), "Unable runs!", [4, 5, 6, 7, 9], marked: [2, 4, 5, 6, 7, 9, 3])
        try expect(wordPiece(), "a中xyz\u{200B} É e\u{301}", [8, 10, 1, 11, 11])
        try expect(wordPiece(), "[SEP] a", [1, 1, 1, 8], marked: [2, 3, 8, 3])
        let cased = wordPiece(["normalizer.lowercase": false])
        try expect(cased, "Unable runs!", [1, 6, 7, 9])
        try expect(cased, "a中xyz\u{200B} É e\u{301}", [8, 10, 1, 12, 1])
    }

    @Test("of a unigram model")
    func unigrams() throws {
        let spaced = unigram(["add_space_prefix": true, "remove_extra_whitespaces": true])
        try expect(spaced, "ab  ab", [3, 6, 3, 6], marked: [3, 6, 3, 6, 1])
        try expect(spaced, "zz<x>a", [3, 2, 13, 7], marked: [3, 2, 13, 7, 1])
        try expect(spaced, "", [], marked: [1])
        try expect(unigram(), "ab  ab", [6, 3, 3, 6], marked: [6, 3, 3, 6, 1])
        try expect(unigram(), "zz<x>a", [2, 13, 4])
    }

    @Test("of a unigram model with a map of replacements")
    func replacements() throws {
        // Unit 0 leads to U+3000's bytes E3 80 80 by way of offsets 0, 256 and 512, and to a space.
        var units = [UInt32](repeating: 0, count: 1024)
        func link(_ node: Int, to offset: Int) { units[node] |= UInt32(node ^ offset) << 10 }
        units[0] = 256 << 10
        units[256 ^ 0xE3] = 0xE3
        link(256 ^ 0xE3, to: 512)
        units[512 ^ 0x80] = 0x80
        link(512 ^ 0x80, to: 768)
        units[768 ^ 0x80] = 0x80 | 1 << 8
        link(768 ^ 0x80, to: 1000)
        units[1000] = 2
        let data = ([UInt32(units.count * 4)] + units).flatMap { unit in (0..<4).map { UInt8(unit >> (8 * $0) & 255) } }
        let map = MetadataValue.array(.uint8(data + Array("?\0 \0".utf8)))
        try expect(unigram(["precompiled_charsmap": map]), "a\u{3000}b\u{3001}", [4, 3, 5, 2])
    }

    @Test("of RWKV's escaped bytes")
    func rwkv() throws {
        let tokens = normal("a", "ab", #"\n"#, #"\xe4"#, #"\xb8\xad"#, #"\\"#, "b", " ")
        try expect(metadata("rwkv", tokens), "abab\n中\\ a", [1, 1, 2, 3, 4, 5, 7, 0])
    }

    @Test("of PLaMo 2")
    func plamo() throws {
        try expect(plamo2(), "abcabé\u{FEFF}c", [261, 263, 261, 198, 172, 242, 190, 194, 263])
        try expect(plamo2(), "\u{FEFF}bc", [264])
    }

    @Test("of Gemma 4, whose newlines are tokens and whose beginning is always marked")
    func gemma() throws {
        let metadata = metadata(
            "gemma4", byteTokens + normal("a", "b", "▁", "ab", "▁ab", "\n", "\n\n\n") + [("<bos>", 3)],
            [
                "merges": .array(.string(["a b", "▁ ab", "\n \n"])), "bos_token_id": 263, "add_bos_token": false,
            ])
        #expect(try Tokenizer(metadata).encode("ab ab\n\n\né", addSpecial: true) == [263, 259, 260, 262, 195, 169])
    }

    @Test("of words in lower case")
    func whitespace() throws {
        let metadata = metadata(
            "whitespace", byteTokens + normal("a", "b", "ab"),
            ["merges": .array(.string(["a b"])), "pre": "whitespace", "normalizer.lowercase": true])
        try expect(metadata, " aB\tb é", [258, 257, 195, 169])
    }

    @Test("of DNA")
    func bases() throws {
        let metadata = metadata(
            "hybriddna", byteStandIns + normal("<dna>", "</dna>", "<oov>", "ACGTAC\u{E000}", "GTAAAA\u{E000}"),
            ["merges": .array(.string(["x y"])), "pre": "gpt-2"])
        try expect(metadata, "A<dna>acgtacgtNNNNNNgt</dna>C", [65, 256, 259, 258, 258, 257, 67])
    }

    @Test("of chunks")
    func chunks() throws {
        let tokens = [("<unk>", 2), ("<s>", 3), ("</s>", 3)] + byteTokens.prefix(4)
        try expect(metadata("test", tokens), "Hello, world", [5, 3, 4])
    }

    @Test("alike for texts that are canonically equivalent, but are not the same")
    func equivalence() throws {
        let tokens = normal("\u{E9}", "e\u{301}", #"\n"#)
        try expect(metadata("rwkv", tokens), "\u{E9}e\u{301}", [0, 1])
    }
}
