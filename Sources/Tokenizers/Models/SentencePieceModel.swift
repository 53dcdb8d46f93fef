/// Byte-pair encoding as in SentencePiece: the pair of neighbours that makes the token of the highest score becomes
/// one. Characters that are in no token fall back to bytes.
/// Source: Kudo and Richardson, SentencePiece, section 3.1.
struct SentencePieceModel: TokenizerModel {
    private let vocabulary: Vocabulary

    init(_ vocabulary: Vocabulary) { self.vocabulary = vocabulary }

    func encode(_ text: [UInt8], into ids: inout [Int]) throws {
        var symbols: [Symbol] = []
        text.characters { range in
            symbols.append(
                Symbol(
                    start: range.lowerBound, end: range.upperBound,
                    id: vocabulary.texts.index(of: text, range) ?? -1))
        }
        var merging = PairMerging<Float>()
        merging.merge(&symbols) { left, right in
            guard right.end - left.start <= vocabulary.longest,
                let id = vocabulary.texts.index(of: text, left.start..<right.end)
            else { return nil }
            return Merge(priority: -vocabulary.scores[id], id: id)
        }
        for symbol in symbols {
            guard symbol.id < 0 else {
                ids.append(symbol.id)
                continue
            }
            for byte in text[symbol.start..<symbol.end] {
                let token = [UInt8].byteToken(byte)
                guard let id = vocabulary.texts.index(of: token) ?? vocabulary.texts.index(of: [byte]) else {
                    let shown = String(decoding: token, as: UTF8.self)
                    throw TokenizerError(TokenizerKey.tokens, "lacks \(shown), and a text needs it")
                }
                ids.append(id)
            }
        }
    }
}
