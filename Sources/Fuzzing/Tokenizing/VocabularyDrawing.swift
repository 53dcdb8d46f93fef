import GGUF
import PropertyTesting
import Tokenizers

/// Draws the vocabulary of a tokenizer of any kind. Its tokens are made of the characters of a sample, as if it had
/// been trained on that.
struct VocabularyDrawing {
    /// Of `tokenizer.ggml.token_type`.
    private enum TokenType {
        static let normal: Int32 = 1, unknown: Int32 = 2, control: Int32 = 3, userDefined: Int32 = 4
        static let unused: Int32 = 5, byte: Int32 = 6
    }

    private struct Token {
        var text: String
        var type = TokenType.normal
    }

    private let model: String
    /// Of byte pairs, what cuts texts before; else nil.
    private let pre: String?
    private var tokens: [Token] = []
    private var texts: Set<[UInt8]> = []
    private var merges: [String] = []

    static func draw(_ choices: inout Choices) throws -> Metadata {
        var drawing = VocabularyDrawing(&choices)
        return try drawing.draw(&choices)
    }

    private init(_ choices: inout Choices) {
        model = choices.element(of: TokenizerCatalog.models)
        let hasPairs = TokenizerCatalog.modelsOfPairs.contains(model)
        pre = hasPairs ? choices.element(of: TokenizerCatalog.preTokenizers) : nil
    }

    private mutating func draw(_ choices: inout Choices) throws -> Metadata {
        try drawTokens(&choices)
        var metadata: Metadata = [TokenizerKey.model: .string(model)]
        metadata[TokenizerKey.pre] = pre.map { .string($0) }
        metadata[TokenizerKey.tokens] = .array(.string(tokens.map(\.text)))
        if try choices.weighted([(true, 12), (false, 1)]) {
            metadata[TokenizerKey.types] = .array(.int32(tokens.map(\.type)))
        }
        if let scores = try drawScores(&choices) { metadata[TokenizerKey.scores] = .array(.float32(scores)) }
        if pre != nil, try choices.weighted([(true, 20), (false, 1)]) {
            metadata[TokenizerKey.merges] = .array(.string(merges))
        }
        drawSpecialTokens(&choices, &metadata)
        drawFlags(&choices, &metadata)
        return metadata
    }

    // MARK: Tokens

    private mutating func add(_ text: String, _ type: Int32 = TokenType.normal) {
        // A NUL ends it for most readers.
        guard texts.insert(Array(text.utf8.prefix { $0 != 0 })).inserted else { return }
        tokens.append(Token(text: text, type: type))
    }

    private mutating func drawTokens(_ choices: inout Choices) throws {
        for (text, type) in specialTokens where !choices.boolean(1, in: 8) { add(text, type) }
        try drawBytes(&choices)
        let sample = choices.list(count: 2...16, usually: 8) { Alphabet.draw(&$0) }.joined()
        var symbols = symbols(of: sample)
        for symbol in symbols where choices.boolean(2, in: 3) { add(symbol) }
        // As trained: neighbours become one, with no regard to how a text is cut.
        let pairs = choices.list(count: 0...48, usually: 20) { $0.integer(in: 0...63) }
        for place in pairs where symbols.count > 1 {
            let start = place % (symbols.count - 1)
            let (left, right) = (symbols[start], symbols[start + 1])
            merges.append("\(left) \(right)")
            symbols.replaceSubrange(start...start + 1, with: [left + right])
            add(left + right)
            if model == "bert", choices.boolean() { add("▁" + left + right) }
        }
        // Some are tokens that no pairs make.
        for _ in choices.list(count: 0...6, usually: 2, of: { _ in true }) {
            let start = choices.integer(in: 0...63) % max(1, symbols.count)
            let length = choices.integer(in: 1...4)
            add(symbols[start..<min(symbols.count, start + length)].joined())
        }
        let types = [TokenType.userDefined, TokenType.control, TokenType.normal, TokenType.unused]
        for text in choices.sparse(Alphabet.phrases) { add(text, choices.element(of: types)) }
        if tokens.isEmpty { add("a") }
    }

    /// Where a model has them by its nature.
    private var specialTokens: [(String, Int32)] {
        switch model {
        case "bert": ["[PAD]", "[UNK]", "[CLS]", "[SEP]"].map { ($0, TokenType.control) }
        case "hybriddna": [("<dna>", 1), ("</dna>", 1), ("<oov>", 1), ("ACGTAC\u{E000}", 1), ("GTAAAA\u{E000}", 1)]
        case "rwkv", "whitespace": []
        default: [("<unk>", TokenType.unknown), ("<s>", TokenType.control), ("</s>", TokenType.control)]
        }
    }

    private var isOfBytes: Bool {
        pre.map { !TokenizerCatalog.mergesCharacters(model: model, pre: $0) } ?? false
    }

    /// What the model falls back to: a token for each byte, at times not for all.
    private mutating func drawBytes(_ choices: inout Choices) throws {
        if model == "bert" || model == "t5" || model == "test" { return }
        let count = try choices.weighted([(0, 1), (128, 1), (256, 16)])
        for byte in UInt8.min...UInt8.max where byte < count {
            if model == "rwkv" {
                add(Self.escaped([byte]))
            } else if isOfBytes {
                add(TokenizerCatalog.standIn(for: byte))
            } else {
                add(TokenizerCatalog.byteToken(byte), TokenType.byte)
            }
        }
    }

    /// A text in the smallest parts that tokens are made of.
    private func symbols(of sample: String) -> [String] {
        if isOfBytes { return sample.utf8.map { TokenizerCatalog.standIn(for: $0) } }
        if model == "rwkv" { return sample.unicodeScalars.map { Self.escaped(Array(String(Character($0)).utf8)) } }
        return sample.unicodeScalars.map { $0 == " " ? "▁" : String(Character($0)) }
    }

    /// As the vocabularies of RWKV have bytes that are not printed.
    private static func escaped(_ bytes: [UInt8]) -> String {
        bytes.map { byte in
            (0x21..<0x7F).contains(byte) && byte != UInt8(ascii: "\\")
                ? String(UnicodeScalar(byte)) : "\\x" + [byte >> 4, byte & 15].map { String($0, radix: 16) }.joined()
        }.joined()
    }

    private func drawScores(_ choices: inout Choices) throws -> [Float]? {
        let isScored = ["llama", "t5", "plamo2"].contains(model)
        enum Kind { case none, flat, falling, mixed }
        let kind = try choices.weighted(
            isScored ? [(Kind.flat, 2), (.falling, 4), (.mixed, 6), (.none, 1)] : [(.none, 8), (.falling, 1)])
        return switch kind {
        case .none: nil
        case .flat: tokens.map { _ in 0 }
        case .falling: tokens.indices.map { -Float($0) }
        // With ties.
        case .mixed: tokens.indices.map { -Float($0 * 37 % 41) / 4 }
        }
    }

    // MARK: Other keys

    private func drawSpecialTokens(_ choices: inout Choices, _ metadata: inout Metadata) {
        let own = model == "bert" ? ["bos": "[CLS]", "unknown": "[UNK]", "seperator": "[SEP]"]
            : ["bos": "<s>", "eos": "</s>", "unknown": "<unk>"]
        for (name, text) in own.sorted(by: { $0.key < $1.key }) where !choices.boolean(1, in: 6) {
            guard let id = tokens.firstIndex(where: { $0.text == text }) else { continue }
            metadata[Self.key(of: name)] = .uint32(UInt32(id))
        }
        for name in choices.sparse(["bos", "eos", "unknown", "seperator", "eot", "eom", "padding", "mask", "fim_pre"]) {
            metadata[Self.key(of: name)] = .uint32(UInt32(choices.integer(in: 0...tokens.count - 1)))
        }
    }

    private static func key(of name: String) -> String { "\(TokenizerKey.prefix)\(name)_token_id" }

    private func drawFlags(_ choices: inout Choices, _ metadata: inout Metadata) {
        let flags = [
            TokenizerKey.addsBeginning, TokenizerKey.addsEnd, TokenizerKey.addsSpacePrefix,
            TokenizerKey.removesExtraSpaces, TokenizerKey.lowercases, TokenizerKey.stripsAccents,
        ]
        for key in flags where choices.boolean(1, in: 4) { metadata[key] = .bool(choices.boolean()) }
        if choices.boolean(1, in: 12) {
            metadata[Tokenization.nameKey] = .string(choices.element(of: ["Phi-3 tiny", "modern-bert"]))
        }
    }
}
