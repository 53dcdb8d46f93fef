import GGUF
import Inference
import PropertyTesting
import Tokenizers

extension Tokenization {
    /// Draws a vocabulary, at times a damaged one, and texts. No choices are found for what comes from elsewhere: it is
    /// cut down by editing it.
    /// - Parameters:
    ///   - choices: what is drawn from.
    ///   - metadata: of the model.
    ///   - target: what is looked for, if anything.
    /// - Throws: `Unreachable` where there is a target.
    static func draw(
        _ choices: inout Choices, _ metadata: Metadata, like target: Tokenization?
    ) throws -> Tokenization {
        if let target { throw Unreachable(target.summary) }
        var result = Tokenization(
            vocabulary: try choices.span("vocabulary") { try VocabularyDrawing.draw(&$0) }, texts: [])
        let drawing = TextDrawing(tokens: result.tokens)
        result.texts = try choices.list(count: 1...8, usually: 5) { try drawing.draw(&$0) }
        if choices.boolean(1, in: 4) { try choices.span("damage") { try result.damage(&$0, metadata) } }
        return result
    }

    private mutating func damage(_ choices: inout Choices, _ metadata: Metadata) throws {
        if choices.boolean(1, in: 4) { return repeatToken(&choices) }
        var draft = FileDraft(MetadataSource(metadata: added(to: metadata)), optionalTensors: [])
        let damages = try choices.list(count: 1...3, usually: 1) { choices in
            let damage = try Damage.draw(&choices, DraftLayout(draft), among: Damage.Kind.ofTokenizers, like: nil)
            _ = try damage.apply(to: &draft)
            return damage
        }
        guard !damages.isEmpty else { return }
        vocabulary = Metadata()
        for key in draft.keys where metadata[key.name] != key.value { vocabulary[key.name] = key.value }
    }

    /// Gives a token the text of another.
    private mutating func repeatToken(_ choices: inout Choices) {
        var tokens = tokens
        let (from, to) = (choices.integer(in: 0...tokens.count - 1), choices.integer(in: 0...tokens.count - 1))
        tokens[to] = tokens[from]
        vocabulary[TokenizerKey.tokens] = .array(.string(tokens))
    }
}
