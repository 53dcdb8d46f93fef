/// What tokenizers there are, and what their tokens look like: for whoever makes vocabularies.
package enum TokenizerCatalog {
    /// The values of `tokenizer.ggml.model`.
    package static let models = ModelKind.allCases.map(\.rawValue)
    /// Of those, the ones that merge pairs, as the file lists them.
    package static let modelsOfPairs = [ModelKind.bytePair, .gemma4, .hybridDNA, .whitespace].map(\.rawValue)
    /// The values of `tokenizer.ggml.pre`.
    package static let preTokenizers = PreTokenizer.all.flatMap(\.names)

    /// Whether tokens are made of characters as they are, with `<0x0A>` for other bytes; else each byte of a text is a
    /// character of its tokens.
    package static func mergesCharacters(model: String, pre: String) -> Bool {
        let name = model == ModelKind.gemma4.rawValue ? model : pre
        return PreTokenizer.all.first { $0.names.contains(name) }?.traits.contains(.mergesCharacters) ?? false
    }

    /// `<0x0A>`: the token of a byte that no other token has.
    package static func byteToken(_ byte: UInt8) -> String { String(decoding: [UInt8].byteToken(byte), as: UTF8.self) }

    /// GPT-2's visible stand-in for a byte.
    package static func standIn(for byte: UInt8) -> String {
        String(decoding: BytePairModel.standIn(byte), as: UTF8.self)
    }
}
