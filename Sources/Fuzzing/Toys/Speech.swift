import Architectures
import GGUF
import Tokenizers

/// A text that a toy is to say, and the tokenizer that cuts it.
public struct Speech: Sendable {
    /// What the tokens are.
    public enum Vocabulary: Sendable {
        /// The text's words, each with the space before it.
        case words
        /// Bytes.
        case bytes
        /// Those of a file's metadata which the text needs (`CutTokenizer`).
        case like(Metadata)
    }

    /// The keys of the tokenizer.
    public let tokenizer: Metadata
    /// The text's tokens, with those that begin and end it, where the tokenizer has them.
    public let tokens: [Int]
    /// What the toy is given: the first word of the text, or the first few where it takes these to cut off whole tokens.
    public let prompt: String
    /// What it says then.
    public let rest: String
    /// The prompt's tokens as programs make them: with those that the tokenizer adds to any text.
    let promptTokens: [Int]
    /// Where the rest begins among `tokens`.
    let restStart: Int
    /// The token with which a decoder begins whose encoder has the prompt.
    let decoderStart: Int

    /// - Parameters:
    ///   - text: of two words or more.
    ///   - vocabulary: of the tokenizer.
    ///   - silent: ids that are no token's of the text (`Architecture.silentTokens`).
    /// - Throws: `SpeechError`; `TokenizerError` of a file's tokenizer.
    public init(_ text: String, _ vocabulary: Vocabulary, silent: Range<Int> = 0..<0) throws {
        let words = text.split(whereSeparator: \.isWhitespace)
        guard words.count >= 2 else { throw SpeechError("has \(words.count) words; must be two or more") }
        var text = text
        let whole: Metadata
        switch vocabulary {
        case .words:
            let pieces = words.enumerated().map { $0 == 0 ? String($1) : " " + $1 }
            text = pieces.joined()
            var texts: [String] = []
            for piece in pieces where !texts.contains(piece) { texts.append(piece) }
            whole = ToyTokenizer.words(texts)
        case .bytes: whole = ToyTokenizer.bytes
        case .like(let metadata): whole = try CutTokenizer(metadata, to: text).metadata
        }
        tokenizer = ToyTokenizer.padded(whole, with: silent)
        let known = try Tokenizer(tokenizer)
        func encode(_ text: some StringProtocol) throws -> [Int] {
            try known.encode(String(text), addSpecial: true, parseSpecial: true)
        }
        var tokens = try encode(text)
        let endsItself = known.end != nil && tokens.last == known.end
        if let end = known.end, !endsItself { tokens.append(end) }

        // A word's tokens may be others where the next word follows.
        for end in text.indices.dropFirst() where text[end].isWhitespace && !text[text.index(before: end)].isWhitespace {
            // What cannot be cut by itself, no program cuts.
            guard let start = try? encode(text[..<end]), let own = start.dropLast(endsItself ? 1 : 0) as ArraySlice?,
                !own.isEmpty, own.count < tokens.count, tokens.starts(with: own)
            else { continue }
            (prompt, rest) = (String(text[..<end]), String(text[end...]))
            (promptTokens, restStart) = (start, own.count)
            self.tokens = tokens
            decoderStart = known.beginning ?? tokenizer.integer("tokenizer.ggml.padding_token_id") ?? 0
            return
        }
        throw SpeechError("no word of it ends where a token does")
    }
}

/// Why a text cannot be said.
public struct SpeechError: Error, Hashable, Sendable, CustomStringConvertible {
    public var description: String
    init(_ description: String) { self.description = description }
}
