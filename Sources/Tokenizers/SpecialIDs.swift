import GGUF

/// The tokens that a tokenizer knows by their role. nil: there is none.
struct SpecialIDs: Sendable {
    var beginning: Int?
    var end: Int?
    var unknown: Int?
    var separator: Int?
    /// Those below only say which tokens are control tokens.
    var endOfTurn: Int?
    var endOfMessage: Int?
    var fillPrefix: Int?
    var fillSuffix: Int?
    var fillMiddle: Int?
    var fillPadding: Int?
    var fillRepository: Int?
    var fillSeparator: Int?

    static let beginningKey = "tokenizer.ggml.bos_token_id"
    static let endKey = "tokenizer.ggml.eos_token_id"
    static let unknownKey = "tokenizer.ggml.unknown_token_id"
    static let separatorKey = "tokenizer.ggml.seperator_token_id"

    /// A later key of the same role goes before an earlier one.
    private static let keys: [(String, WritableKeyPath<SpecialIDs, Int?> & Sendable)] = [
        (beginningKey, \.beginning), (endKey, \.end), (unknownKey, \.unknown), (separatorKey, \.separator),
        ("tokenizer.ggml.eot_token_id", \.endOfTurn), ("tokenizer.ggml.eom_token_id", \.endOfMessage),
        ("tokenizer.ggml.fim_pre_token_id", \.fillPrefix), ("tokenizer.ggml.fim_suf_token_id", \.fillSuffix),
        ("tokenizer.ggml.fim_mid_token_id", \.fillMiddle), ("tokenizer.ggml.fim_pad_token_id", \.fillPadding),
        ("tokenizer.ggml.fim_rep_token_id", \.fillRepository), ("tokenizer.ggml.fim_sep_token_id", \.fillSeparator),
        ("tokenizer.ggml.prefix_token_id", \.fillPrefix), ("tokenizer.ggml.suffix_token_id", \.fillSuffix),
        ("tokenizer.ggml.middle_token_id", \.fillMiddle),
    ]

    /// The keys of the roles that have a token even where no key names it, with these ids.
    static func defaultRoles(of special: SpecialIDs) -> [(key: String, id: Int)] {
        keys.prefix(4).compactMap { key, role in special[keyPath: role].map { (key, $0) } }
    }

    /// Takes the file's ids. One that the vocabulary does not reach counts as not given, as in llama.cpp: released
    /// files have such ids for "none".
    mutating func read(_ metadata: Metadata, count: Int) throws {
        for (key, role) in Self.keys {
            if let id = self[keyPath: role], id >= count { self[keyPath: role] = nil }
            guard let value = metadata[key] else { continue }
            guard [.uint8, .int8, .uint16, .int16, .uint32, .int32, .uint64, .int64].contains(value.kind) else {
                throw TokenizerError(key, "must be an integer, but is \(value.typeName) \(value.summary)")
            }
            if let id = value.integer, (0..<count).contains(id) { self[keyPath: role] = id }
        }
    }
}
