/// The tokens whose scores have the highest sum, in integers; a character that is in none falls back to bytes.
/// Source: the tokenizer of PLaMo 2.
struct Plamo2Model: TokenizerModel {
    /// Scores of tokens, and of a character without one, in ten-thousandths.
    private static let lowestScore = -20_000_000, unknownScore = -10_000_000
    private let trie: Trie
    private let scores: [Int]
    private let bytes: [Int]

    /// - Throws: `TokenizerError` where a byte has no token.
    init(_ vocabulary: Vocabulary) throws {
        var trie = Trie()
        for id in 0..<vocabulary.count where vocabulary.types[id] != .byte { trie.insert(vocabulary.texts[id], id) }
        self.trie = trie
        scores = vocabulary.scores.map { score in
            let scaled = (Double(score) * 1e4).rounded(.toNearestOrAwayFromZero)
            return scaled.isFinite ? Int(max(-1e9, min(1e9, scaled))) : Self.lowestScore
        }
        bytes = try (UInt8.min...UInt8.max).map { byte in
            let text = [UInt8].byteToken(byte)
            guard let id = vocabulary.texts.index(of: text), vocabulary.types[id] == .byte else {
                let shown = String(decoding: text, as: UTF8.self)
                throw TokenizerError(TokenizerKey.tokens, "lacks the byte token \(shown)")
            }
            return id
        }
    }

    func encode(_ text: [UInt8], into ids: inout [Int]) {
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        let text = text.starts(with: mark) ? Array(text.dropFirst(mark.count)) : text
        var starts: [Int] = []
        text.characters { starts.append($0.lowerBound) }

        // Of the rest of the text from each place: the cost, where its first token ends, and which that is.
        var costs = Array(repeating: 0, count: text.count + 1)
        var steps: [(end: Int, id: Int?)] = Array(repeating: (0, nil), count: text.count)
        var found: [(id: Int, end: Int)] = []
        for (index, start) in starts.enumerated().reversed() {
            found.removeAll(keepingCapacity: true)
            trie.matches(in: text, at: start) { found.append(($0, $1)) }
            let end = index + 1 < starts.count ? starts[index + 1] : text.count
            var best = Int.max
            // Of equal sums the longest first token.
            for (id, end) in found.reversed() where scores[id] > Self.lowestScore && costs[end] - scores[id] < best {
                best = costs[end] - scores[id]
                steps[start] = (end, id)
            }
            if costs[end] - Self.unknownScore < best {
                best = costs[end] - Self.unknownScore
                steps[start] = (end, nil)
            }
            costs[start] = best
        }
        var position = 0
        while position < text.count {
            let (end, id) = steps[position]
            if let id { ids.append(id) } else { ids += text[position..<end].map { bytes[Int($0)] } }
            position = end
        }
    }
}
