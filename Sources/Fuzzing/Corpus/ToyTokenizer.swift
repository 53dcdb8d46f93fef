import GGUF
import Tokenizers

/// A tokenizer for toy models, whose tokens have no text of their own: token `i` is the text `<i>`.
///
/// Tools that take text and no token ids can then be given any tokens: `<3><17>` is 3 and 17, since each is a token
/// that a user has defined, which are found before anything else is split.
public enum ToyTokenizer {
    /// A toy's metadata with this tokenizer.
    /// - Parameters:
    ///   - metadata: without a tokenizer.
    ///   - vocabulary: tokens of the model.
    ///   - texts: of the first of them, no more than there are, which have text of their own.
    public static func added(to metadata: Metadata, vocabulary: Int, texts: [String] = []) -> Metadata {
        var result = metadata
        result[TokenizerKey.model] = .string("llama")
        result[TokenizerKey.tokens] = .array(.string((0..<vocabulary).map { $0 < texts.count ? texts[$0] : "<\($0)>" }))
        result[TokenizerKey.scores] = .array(.float32(Array(repeating: 0, count: vocabulary)))
        let userDefined: Int32 = 4
        result[TokenizerKey.types] = .array(.int32(Array(repeating: userDefined, count: vocabulary)))
        // Nothing but the tokens of the prompt.
        for key in [TokenizerKey.addsBeginning, TokenizerKey.addsEnd, TokenizerKey.addsSpacePrefix] {
            result[key] = .bool(false)
        }
        return result
    }

    public static func text(of ids: [Int]) -> String { ids.map { "<\($0)>" }.joined() }
}
