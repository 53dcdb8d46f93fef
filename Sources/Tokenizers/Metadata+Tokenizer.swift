import GGUF

/// The keys of a tokenizer; those of the vocabulary's special tokens are in `SpecialIDs`.
enum Key {
    static let prefix = "tokenizer.ggml."
    static let model = "tokenizer.ggml.model"
    static let pre = "tokenizer.ggml.pre"
    static let tokens = "tokenizer.ggml.tokens"
    static let types = "tokenizer.ggml.token_type"
    static let scores = "tokenizer.ggml.scores"
    static let merges = "tokenizer.ggml.merges"
    static let addsBeginning = "tokenizer.ggml.add_bos_token"
    static let addsEnd = "tokenizer.ggml.add_eos_token"
    static let addsSpacePrefix = "tokenizer.ggml.add_space_prefix"
    static let removesExtraSpaces = "tokenizer.ggml.remove_extra_whitespaces"
    static let characterMap = "tokenizer.ggml.precompiled_charsmap"
    static let lowercases = "tokenizer.ggml.normalizer.lowercase"
    static let stripsAccents = "tokenizer.ggml.normalizer.strip_accents"
}

// What a key must be where it is there: anything else is an error, never taken for absent.
extension Metadata {
    func optional<Value>(_ key: String, _ wanted: String, _ value: (MetadataValue) -> Value?) throws -> Value? {
        try self[key].map { found in
            guard let result = value(found) else {
                throw TokenizerError(key, "must be \(wanted), but is \(found.typeName) \(found.summary)")
            }
            return result
        }
    }

    func text(_ key: String) throws -> String? { try optional(key, "a string", \.string) }
    func flag(_ key: String) throws -> Bool? { try optional(key, "a bool", \.bool) }

    /// Each up to its first NUL, where llama.cpp ends it.
    func texts(_ key: String) throws -> [ArraySlice<UInt8>]? {
        try optional(key, "an array of strings") { value in
            guard case .array(.string(let strings)) = value else { return nil }
            return strings.map { Array($0.utf8).prefix { $0 != 0 } }
        }
    }
}
