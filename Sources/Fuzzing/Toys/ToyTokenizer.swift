import GGUF
import Tokenizers

/// Tokenizers for toy models.
public enum ToyTokenizer {
    /// Values of `tokenizer.ggml.token_type`.
    private enum Kind {
        static let normal: Int32 = 1, unknown: Int32 = 2, control: Int32 = 3, userDefined: Int32 = 4, unused: Int32 = 5
    }

    /// A toy's metadata with a tokenizer whose tokens have no text of their own: token `i` is the text `<i>`.
    ///
    /// Tools that take text and no token ids can then be given any tokens: `<3><17>` is 3 and 17, since each is a token
    /// that a user has defined, which are found before anything else is split.
    /// - Parameters:
    ///   - metadata: without a tokenizer.
    ///   - vocabulary: tokens of the model.
    public static func added(to metadata: Metadata, vocabulary: Int) -> Metadata {
        metadata.merging(sentencePieces((0..<vocabulary).map { ("<\($0)>", Kind.userDefined) }))
    }

    public static func text(of ids: [Int]) -> String { ids.map { "<\($0)>" }.joined() }

    /// A tokenizer of which each of some texts is a token, and which knows no others but those that begin and end a
    /// text: neither is added to one.
    public static func words(_ texts: [String]) -> Metadata {
        let roles = [("<unk>", Kind.unknown), ("<s>", Kind.control), ("</s>", Kind.control)]
        var result = sentencePieces(roles + texts.map { ($0, Kind.userDefined) })
        for (id, role) in ["unknown", "bos", "eos"].enumerated() {
            result["\(TokenizerKey.prefix)\(role)_token_id"] = .uint32(UInt32(id))
        }
        return result
    }

    /// A tokenizer of which each byte is a token, so that it knows any text, and one that ends a text.
    public static let bytes: Metadata = {
        let texts = (UInt8.min...UInt8.max).map(TokenizerCatalog.standIn) + ["<|endoftext|>"]
        var types = Array(repeating: Kind.normal, count: texts.count)
        types[texts.count - 1] = Kind.control
        var result = tokenizer("gpt2", texts, types)
        result[TokenizerKey.pre] = "gpt-2"
        result[TokenizerKey.merges] = .array(.string([]))
        for role in ["bos", "eos"] { result["\(TokenizerKey.prefix)\(role)_token_id"] = .uint32(UInt32(texts.count - 1)) }
        return result
    }()

    /// A tokenizer with tokens that no text has: as many as a model's, or where the model says none.
    /// - Parameters:
    ///   - tokenizer: of any model; its tokens from the first of `ids` on move up.
    ///   - ids: of the new tokens.
    public static func padded(_ tokenizer: Metadata, with ids: Range<Int>) -> Metadata {
        guard let count = tokenizer.array(TokenizerKey.tokens)?.count, ids.lowerBound <= count, !ids.isEmpty else {
            return tokenizer
        }
        func padded<Element>(_ elements: [Element], _ padding: (Int) -> Element) -> [Element] {
            elements[..<ids.lowerBound] + ids.map(padding) + elements[ids.lowerBound...]
        }
        var result = tokenizer
        for (key, value) in tokenizer where key.hasPrefix(TokenizerKey.prefix) {
            switch (key, value) {
            case (TokenizerKey.tokens, .array(.string(let texts))):
                result[key] = .array(.string(padded(texts) { "[PAD\($0)]" }))
            case (TokenizerKey.types, .array(.int32(let types))):
                result[key] = .array(.int32(padded(types) { _ in Kind.unused }))
            case (TokenizerKey.scores, .array(.float32(let scores))):
                result[key] = .array(.float32(padded(scores) { _ in 0 }))
            case _ where key.hasSuffix("_token_id"):
                guard let id = value.integer, id >= ids.lowerBound else { continue }
                result[key] = .uint32(UInt32(id + ids.count))
            default: break
            }
        }
        return result
    }

    private static func sentencePieces(_ tokens: [(text: String, kind: Int32)]) -> Metadata {
        var result = tokenizer("llama", tokens.map(\.text), tokens.map(\.kind))
        result[TokenizerKey.scores] = .array(.float32(Array(repeating: 0, count: tokens.count)))
        result[TokenizerKey.addsSpacePrefix] = .bool(false)
        return result
    }

    /// Nothing is added to the tokens of a text.
    private static func tokenizer(_ model: String, _ texts: [String], _ types: [Int32]) -> Metadata {
        [
            TokenizerKey.model: .string(model), TokenizerKey.tokens: .array(.string(texts)),
            TokenizerKey.types: .array(.int32(types)), TokenizerKey.addsBeginning: .bool(false),
            TokenizerKey.addsEnd: .bool(false),
        ]
    }
}
