import PropertyTesting

/// Draws texts of all scripts, with what makes tokenizers go wrong: special tokens, lone marks, control characters,
/// what is no UTF-8, and at times very many of the same.
struct TextDrawing {
    /// Texts of tokens of the vocabulary, one at least.
    var tokens: [String]

    /// Bytes that are repeated.
    private static let longest = 131_072

    private enum Kind { case characters, phrase, token, anyCharacter, repetition, broken }

    func draw(_ choices: inout Choices) throws -> TokenizedText {
        // A long text is the whole of it, and rare: it takes as long as hundreds of others.
        if choices.boolean(1, in: 150) {
            return text([try drawLong(&choices)], &choices)
        }
        let pieces = try choices.list(count: 0...24, usually: 6) { try drawPiece(&$0) }
        return text(pieces, &choices)
    }

    private func text(_ pieces: [TokenizedText.Piece], _ choices: inout Choices) -> TokenizedText {
        TokenizedText(pieces, addSpecial: choices.boolean(), parseSpecial: choices.boolean())
    }

    private func drawPiece(_ choices: inout Choices) throws -> TokenizedText.Piece {
        let kind = try choices.weighted([
            (Kind.characters, 10), (.phrase, 3), (.token, 4), (.anyCharacter, 2), (.repetition, 1), (.broken, 1),
        ])
        switch kind {
        case .characters: return .init(Alphabet.draw(&choices))
        case .phrase: return .init(choices.element(of: Alphabet.phrases))
        case .token: return .init(choices.element(of: tokens))
        case .anyCharacter:
            // Those that are no scalars are surrogates.
            let number = choices.integer(in: 0...0x10FFFF)
            return .init(String(Character(Unicode.Scalar(UInt32(number)) ?? "\u{FFFD}")))
        case .repetition:
            return .init(Alphabet.draw(&choices, usually: 1), times: choices.integer(in: 1...64))
        case .broken: return .init(choices.element(of: Alphabet.broken))
        }
    }

    private func drawLong(_ choices: inout Choices) throws -> TokenizedText.Piece {
        let unit = try choices.weighted([(false, 3), (true, 1)])
            ? choices.element(of: tokens) : Alphabet.draw(&choices, usually: 1)
        let bytes = Array(unit.utf8)
        return .init(bytes, times: choices.integer(in: 1...max(1, Self.longest / max(1, bytes.count)), simplest: 1))
    }
}
