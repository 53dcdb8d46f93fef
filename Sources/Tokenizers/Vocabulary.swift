import GGUF

/// The tokens of a tokenizer: texts, scores and attributes, by id.
struct Vocabulary: Sendable {
    struct Attributes: OptionSet, Sendable {
        let rawValue: UInt8
        static let normal = Attributes(rawValue: 1)
        static let unknown = Attributes(rawValue: 2)
        static let control = Attributes(rawValue: 4)
        static let userDefined = Attributes(rawValue: 8)
        static let unused = Attributes(rawValue: 16)
        static let byte = Attributes(rawValue: 32)
        /// White space before it, or after it, belongs to it.
        static let stripsLeft = Attributes(rawValue: 64)
        static let stripsRight = Attributes(rawValue: 128)

        /// Of a value of `tokenizer.ggml.token_type`.
        init(type: Int32) {
            let types: [Attributes] = [[], .normal, .unknown, .control, .userDefined, .unused, .byte]
            self = types.indices.contains(Int(type)) ? types[Int(type)] : []
        }
        init(rawValue: UInt8) { self.rawValue = rawValue }
    }

    /// Numbered by id.
    let texts: TextTable
    let scores: [Float]
    /// As the file has them.
    let types: [Attributes]
    /// With what is known of tokens by their text.
    private(set) var attributes: [Attributes]
    private(set) var special: SpecialIDs
    /// Bytes of the longest token.
    let longest: Int

    var count: Int { texts.count }

    func id(_ text: String) -> Int? { texts.index(of: text.utf8) }

    /// - Throws: `TokenizerError` for arrays of other types or lengths, and for two tokens of one text.
    init(_ metadata: Metadata, _ special: SpecialIDs) throws {
        guard let tokens = try metadata.texts(TokenizerKey.tokens) else {
            throw TokenizerError(TokenizerKey.tokens, "is missing")
        }
        guard !tokens.isEmpty, tokens.count <= Int32.max else {
            throw TokenizerError(TokenizerKey.tokens, "has no tokens")
        }
        var texts = TextTable()
        var longest = 0
        for (id, token) in tokens.enumerated() {
            let text = token.isEmpty ? Array("[EMPTY_\(id)]".utf8)[...] : token
            let (first, isNew) = texts.insert(text)
            guard isNew else {
                let shown = MetadataValue.string(String(decoding: text, as: UTF8.self)).summary
                throw TokenizerError(TokenizerKey.tokens, "\(first) and \(id) are both \(shown)")
            }
            longest = max(longest, text.count)
        }
        self.texts = texts
        self.longest = longest

        func check(_ count: Int, _ key: String) throws {
            guard count >= tokens.count else {
                throw TokenizerError(key, "has \(count) elements for \(tokens.count) tokens")
            }
        }
        let scores: [Float]? = try metadata.optional(TokenizerKey.scores, "an array of float32 or int32") { value in
            switch value {
            case .array(.float32(let scores)): scores
            case .array(.int32(let scores)): scores.map { Float($0) }
            default: nil
            }
        }
        if let scores { try check(scores.count, TokenizerKey.scores) }
        self.scores = scores ?? Array(repeating: 0, count: tokens.count)

        let types: [Int32]? = try metadata.optional(TokenizerKey.types, "an array of int32") { value in
            if case .array(.int32(let types)) = value { types } else { nil }
        }
        if let types { try check(types.count, TokenizerKey.types) }
        self.types = types?.prefix(tokens.count).map(Attributes.init(type:))
            ?? Array(repeating: .normal, count: tokens.count)
        attributes = self.types
        self.special = special
        try self.special.read(metadata, count: tokens.count)
        markByText()
        try markStripping(metadata)
    }

    /// The tokens that are looked for in a text before it is tokenized, longest first.
    var specialTokens: [Int] {
        (0..<count).filter { !attributes[$0].isDisjoint(with: [.control, .userDefined, .unknown]) }
            .sorted { (-texts[$0].count, $0) < (-texts[$1].count, $1) }
    }
}

// What llama.cpp knows of tokens by their text, because files tell too little or wrong of them.
extension Vocabulary {
    private static let endings = [
        "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>",
        "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>",
        "<end_of_utterance>", "<eos>", "<turn|>", "<|tool_response>", "<｜end▁of▁sentence｜>", "[e~[",
    ]
    /// Where the file does not name the token of a role, the first of these that there is.
    private static let roles: [(WritableKeyPath<SpecialIDs, Int?> & Sendable, [String])] = [
        (
            \.fillPrefix,
            [
                "<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "<PRE>", "▁<PRE>", "<|code_prefix|>",
                "<|prefix|>",
            ]
        ),
        (
            \.fillSuffix,
            [
                "<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>", "<SUF>", "▁<SUF>", "<|code_suffix|>",
                "<|suffix|>",
            ]
        ),
        (
            \.fillMiddle,
            [
                "<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>", "<MID>", "▁<MID>", "<|code_middle|>",
                "<|middle|>",
            ]
        ),
        (\.fillPadding, ["<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"]),
        (\.fillRepository, ["<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"]),
        (\.fillSeparator, ["<|file_sep|>"]),
    ]

    private mutating func markByText() {
        for (role, texts) in Self.roles where special[keyPath: role] == nil {
            guard let id = texts.lazy.compactMap(self.id).first else { continue }
            special[keyPath: role] = id
            attributes[id].insert(.control)
        }
        for id in Self.endings.compactMap(self.id) { attributes[id].insert(.control) }
        for id in ["<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"].compactMap(self.id) {
            attributes[id] = .userDefined
        }
        // Models that end turns otherwise have this one in the midst of them.
        let calls = id("<|call|>") ?? id("<|calls|>")
        if let end = id("<|end|>"), calls != nil, id("<|return|>") != nil || id("<|flush|>") != nil {
            attributes[end] = .userDefined
        }
        let ends = [
            special.end, special.endOfTurn, special.endOfMessage, special.fillPadding, special.fillRepository,
            special.fillSeparator,
        ]
        let plamo = id("<|plamo:eos|>")
        if let end = id("</s>"), id("<|tool_response>") != nil || plamo != nil && ends.contains(plamo) {
            attributes[end] = .normal
        }
    }

    private mutating func markStripping(_ metadata: Metadata) throws {
        let pre = try metadata.text(TokenizerKey.pre) ?? ""
        let architecture = try metadata.text("general.architecture") ?? ""
        let name = (try metadata.text("general.name") ?? "").lowercased()
        if ["jina-v2-de", "jina-v2-es", "jina-v2-code"].contains(where: pre.contains)
            || ["nomic-bert-moe", "jina-bert-v3"].contains(where: architecture.contains)
        {
            if let mask = id("<mask>") { attributes[mask].insert(.stripsLeft) }
        } else if name.contains("phi-3") || name.contains("phi3") {
            for token in specialTokens { attributes[token].insert(.stripsRight) }
            if let end = id("</s>") { attributes[end].insert(.stripsRight) }
            for token in ["<unk>", "<s>", "<|endoftext|>"].compactMap(id) { attributes[token].remove(.stripsRight) }
        } else if name.contains("modern-bert"), let mask = id("[MASK]") {
            attributes[mask].insert(.stripsLeft)
        }
    }
}
