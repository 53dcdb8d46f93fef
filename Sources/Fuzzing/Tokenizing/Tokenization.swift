import Engines
import GGUF
import Tokenizers

/// What a case of the check `tokenizes` asks for: the tokens of texts.
public struct Tokenization: Hashable, Sendable, Codable {
    /// The tokenizer's keys, which come to the model's own.
    public var vocabulary: Metadata
    public var texts: [TokenizedText]

    public init(vocabulary: Metadata, texts: [TokenizedText]) {
        self.vocabulary = vocabulary
        self.texts = texts
    }

    /// A model's metadata with this tokenizer.
    func added(to metadata: Metadata) -> Metadata { metadata.merging(vocabulary) }

    /// `gpt2`, `gpt2 qwen2`: the kind of tokenizer, and of byte pairs how a text is cut before.
    var kind: String {
        let model = vocabulary.string(TokenizerKey.model) ?? "none"
        let cut = TokenizerCatalog.modelsOfPairs.contains(model) ? vocabulary.string(TokenizerKey.pre) : nil
        return [model, cut].compactMap { $0 }.joined(separator: " ")
    }

    /// The texts of its tokens; none where the file lists none.
    var tokens: [String] {
        if case .array(.string(let tokens)) = vocabulary[TokenizerKey.tokens] { tokens } else { [] }
    }

    /// A case with it, in a few words.
    var summary: String {
        let length = texts.reduce(0) { $0 + $1.length }
        return "tokenizer \(kind) of \(amount(tokens.count, "token")): \(amount(texts.count, "text")) of "
            + amount(length, "byte")
    }

    /// What is special about it, as `Case.features` has it.
    var features: [String] {
        let model = vocabulary.string(TokenizerKey.model) ?? "none"
        var result = ["tokenizer \(model)"]
        if TokenizerCatalog.modelsOfPairs.contains(model), let name = vocabulary.string(TokenizerKey.pre) {
            result.append("pre-tokenizer \(name)")
        }
        let tokens = tokens.map { Array($0.utf8.prefix { $0 != 0 }) }
        if Set(tokens).count < tokens.count { result.append("tokens of one text") }
        if tokens.contains(where: \.isEmpty) { result.append("token without text") }
        if texts.contains(where: \.addSpecial) { result.append("text with special tokens added") }
        if texts.contains(where: \.parseSpecial) { result.append("text with special tokens parsed") }
        if texts.contains(where: { !$0.isUTF8 }) { result.append("text that is not UTF-8") }
        if texts.contains(where: { $0.length > 4096 }) { result.append("text of more than 4096 bytes") }
        return result
    }

    /// Why nobody is asked for it; nil where that can be done.
    var flaw: String? {
        if texts.isEmpty { return "texts: there are none" }
        if let key = vocabulary.keys.first(where: { !$0.hasPrefix(TokenizerKey.prefix) && $0 != Self.nameKey }) {
            return "vocabulary: \(key): is no key of a tokenizer"
        }
        return texts.enumerated().lazy.compactMap { number, text in text.flaw.map { "texts[\(number)].\($0)" } }.first
    }

    /// Tokenizers of some models are told by the model's name.
    static let nameKey = "general.name"
}
