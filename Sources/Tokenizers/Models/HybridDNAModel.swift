/// Byte-pair encoding, but for `<dna>…</dna>`: there six bases are a token, the last one filled up with A.
struct HybridDNAModel: TokenizerModel {
    private let pairs: BytePairModel
    private let vocabulary: Vocabulary
    private static let open = Array("<dna>".utf8), close = Array("</dna>".utf8)
    /// Ends the texts of tokens of bases, which tells them from words of the same letters.
    private static let marker: [UInt8] = [0xEE, 0x80, 0x80]
    private static let unknown = "<oov>"

    init(_ pairs: BytePairModel, _ vocabulary: Vocabulary) {
        self.pairs = pairs
        self.vocabulary = vocabulary
    }

    /// A token's text without the marker.
    static func text(_ id: Int, _ vocabulary: Vocabulary) -> [UInt8] {
        let text = vocabulary.texts[id]
        guard let unknown = vocabulary.id(unknown), id > unknown, text.count > marker.count,
            text.suffix(marker.count).elementsEqual(marker)
        else { return Array(text) }
        return Array(text.dropLast(marker.count))
    }

    func encode(_ text: [UInt8], into ids: inout [Int]) throws {
        guard let begin = vocabulary.texts.index(of: Self.open), let end = vocabulary.texts.index(of: Self.close),
            let unknown = vocabulary.id(Self.unknown)
        else { return try pairs.encode(text, into: &ids) }

        var rest = text[...]
        while !rest.isEmpty {
            let opening = rest.range(of: Self.open)
            let words = rest[..<(opening?.lowerBound ?? rest.endIndex)]
            if !words.isEmpty { try pairs.encode(Array(words), into: &ids) }
            guard let opening else { return }
            ids.append(begin)
            rest = rest[opening.upperBound...]
            let closing = rest.range(of: Self.close)
            var bases = rest[..<(closing?.lowerBound ?? rest.endIndex)].map { byte in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) ? byte - 32 : byte
            }
            while bases.count % 6 != 0 { bases.append(UInt8(ascii: "A")) }
            for start in stride(from: 0, to: bases.count, by: 6) {
                ids.append(vocabulary.texts.index(of: bases[start..<start + 6] + Self.marker) ?? unknown)
            }
            guard let closing else { return }
            ids.append(end)
            rest = rest[closing.upperBound...]
        }
    }
}

extension ArraySlice<UInt8> {
    fileprivate func range(of pattern: [UInt8]) -> Range<Int>? {
        var start = startIndex
        while start + pattern.count <= endIndex {
            if self[start] == pattern[0], self[start..<start + pattern.count].elementsEqual(pattern) {
                return start..<start + pattern.count
            }
            start += 1
        }
        return nil
    }
}
