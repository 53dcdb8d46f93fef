import GGUF

@testable import Tokenizers

// Small vocabularies of every kind. What the tests expect of them is what llama.cpp 0.3.36 gives.

/// A file's metadata: tokens with their types, and what else is given.
func metadata(_ model: String, _ tokens: [(String, Int32)], _ others: Metadata = [:]) -> Metadata {
    var result: Metadata = [
        "tokenizer.ggml.model": .string(model), "tokenizer.ggml.tokens": .array(.string(tokens.map(\.0))),
        "tokenizer.ggml.token_type": .array(.int32(tokens.map(\.1))),
    ]
    for (key, value) in others { result[key.hasPrefix("general") ? key : "tokenizer.ggml." + key] = value }
    return result
}

extension Metadata {
    /// The same with scores: those given, and of the other tokens -9.
    func scored(_ scores: [String: Float]) -> Metadata {
        guard case .array(.string(let tokens)) = self["tokenizer.ggml.tokens"] else { return self }
        var result = self
        result["tokenizer.ggml.scores"] = .array(.float32(tokens.map { scores[$0] ?? -9 }))
        return result
    }
}

func normal(_ tokens: String...) -> [(String, Int32)] { tokens.map { ($0, 1) } }

/// `<0x00>` to `<0xFF>`.
let byteTokens: [(String, Int32)] = (UInt8.min...UInt8.max).map { byte in
    (String(decoding: [UInt8].byteToken(byte), as: UTF8.self), 6)
}

/// The stand-ins of the bytes, as GPT-2 has them.
let byteStandIns: [(String, Int32)] = {
    var next: UInt32 = 0x100
    return (UInt32(0)..<0x100).map { byte in
        let isPlain = (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || byte >= 0xAE
        defer { next += isPlain ? 0 : 1 }
        return (Unicode.Scalar(isPlain ? byte : next).map { String(Character($0)) } ?? "", 1)
    }
}()

func bytePair(_ pre: String, _ others: Metadata = [:]) -> Metadata {
    let merges = ["h e", "l l", "he ll", "hell o", "Ġ hello", "1 2", "3 4", "12 34", "o w", "Ġ Ġ"]
    let tokens =
        byteStandIns + merges.map { ($0.filter { $0 != " " }, 1) } + [("<s>", 3), ("</s>", 3), ("<u>", 4), ("<u>x", 4)]
    var result = metadata("gpt2", tokens, others)
    result["tokenizer.ggml.merges"] = .array(.string(merges))
    result["tokenizer.ggml.pre"] = .string(pre)
    result["tokenizer.ggml.bos_token_id"] = 266
    result["tokenizer.ggml.eos_token_id"] = 267
    return result
}

func sentencePiece(_ others: Metadata = [:], more: [(String, Int32)] = []) -> Metadata {
    let tokens =
        [("<unk>", 2), ("<s>", 3), ("</s>", 3)] + byteTokens
        + normal("▁", "a", "b", "c", "ab", "bc", "▁a", "▁ab", "abc", "▁▁") + more
    return metadata("llama", tokens, others)
        .scored(["ab": -1, "bc": -2, "▁a": -3, "▁ab": -4, "abc": -5, "▁▁": -0.5])
}

func wordPiece(_ others: Metadata = [:]) -> Metadata {
    var result = metadata(
        "bert",
        [("[PAD]", 3), ("[UNK]", 3), ("[CLS]", 3), ("[SEP]", 3)]
            + normal("▁un", "able", "▁run", "s", "▁a", "▁!", "▁中", "▁e", "▁É"), others)
    result["tokenizer.ggml.bos_token_id"] = 2
    result["tokenizer.ggml.unknown_token_id"] = 1
    result["tokenizer.ggml.seperator_token_id"] = 3
    return result
}

/// With a map that makes `fi` of the ligature and a space of U+3000.
func unigram(_ others: Metadata = [:]) -> Metadata {
    metadata(
        "t5",
        [("<pad>", 3), ("</s>", 3), ("<unk>", 2)] + normal("▁", "a", "b", "ab", "▁a", "▁ab", "fi", "f", "i", "▁f")
            + [("<x>", 4)], others
    ).scored([
        "▁": -2, "a": -3, "b": -3, "ab": -4, "▁a": -4.5, "▁ab": -7, "fi": -3, "f": -4, "i": -4, "▁f": -5,
    ])
}

func plamo2() -> Metadata {
    metadata(
        "plamo2",
        [("<unk>", 2), ("<s>", 3), ("</s>", 3)] + byteTokens + normal("a", "b", "ab", "abc", "c", "bc")
    ).scored(["a": -1, "b": -1, "ab": -1.5, "abc": -4, "c": -1, "bc": -2])
}
