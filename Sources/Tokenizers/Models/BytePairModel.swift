import GGUF

/// Byte-pair encoding as in GPT-2: within each piece, the pair of neighbours that the merges list first becomes one.
/// Source: Sennrich et al., Neural Machine Translation of Rare Words with Subword Units, algorithm 1.
struct BytePairModel: TokenizerModel {
    private let vocabulary: Vocabulary
    private let traits: PreTokenizer.Traits
    private let splitters: [Splitter]
    /// The texts that merges name or make, numbered.
    private let texts: TextTable
    /// By the numbers of the left text and the right.
    private let merges: [UInt64: Merge]
    private struct Merge: Sendable {
        var rank: Int32
        var result: Int32
    }

    init(_ metadata: Metadata, _ vocabulary: Vocabulary, _ preTokenizer: PreTokenizer) throws {
        self.vocabulary = vocabulary
        traits = preTokenizer.traits
        splitters = preTokenizer.splitters
        var texts = TextTable()
        var merges: [UInt64: Merge] = [:]
        let isOptional = preTokenizer.names.contains("kimi-k2")
        guard let lines = try metadata.texts(TokenizerKey.merges) ?? (isOptional ? [] : nil) else {
            throw TokenizerError(TokenizerKey.merges, "is missing")
        }
        merges.reserveCapacity(lines.count)
        for (rank, bytes) in lines.enumerated() {
            // A line without two texts merges nothing.
            guard let space = bytes.dropFirst().firstIndex(of: UInt8(ascii: " ")), space + 1 < bytes.endIndex
            else { continue }
            let left = texts.insert(bytes[..<space]).index
            let right = texts.insert(bytes[(space + 1)...]).index
            let result = texts.insert(bytes[..<space] + bytes[(space + 1)...]).index
            let pair = Self.pair(left, right)
            // Of equal lines the first counts.
            if merges[pair] == nil { merges[pair] = Merge(rank: Int32(clamping: rank), result: Int32(result)) }
        }
        self.texts = texts
        self.merges = merges
    }

    private static func pair(_ left: Int, _ right: Int) -> UInt64 { UInt64(left) << 32 | UInt64(right) }

    func encode(_ text: [UInt8], into ids: inout [Int]) throws {
        let scalars = ScalarText(text.scalars)
        var matcher = PatternMatcher()
        var pieces = [0..<scalars.scalars.count]
        for splitter in splitters { pieces = splitter.split(scalars, pieces, &matcher) }

        var merging = PairMerging<Int32>()
        var word: [UInt8] = []
        var symbols: [Symbol] = []
        for piece in pieces {
            word.removeAll(keepingCapacity: true)
            for scalar in scalars.scalars[piece] {
                UTF8.encode(scalar)?.forEach { byte in
                    if traits.contains(.mergesCharacters) {
                        word.append(byte)
                    } else {
                        Self.append(byte, to: &word)
                    }
                }
            }
            if isToken(word), let id = vocabulary.texts.index(of: word) {
                ids.append(id)
                continue
            }
            symbols.removeAll(keepingCapacity: true)
            word.characters { range in
                let id = texts.index(of: word, range) ?? -1
                symbols.append(Symbol(start: range.lowerBound, end: range.upperBound, id: id))
            }
            merging.merge(&symbols) { left, right in
                guard left.id >= 0, right.id >= 0, let merge = merges[Self.pair(left.id, right.id)] else { return nil }
                return .init(priority: merge.rank, id: Int(merge.result))
            }
            for symbol in symbols {
                if let id = vocabulary.texts.index(of: word, symbol.start..<symbol.end) {
                    ids.append(id)
                } else {
                    // Bytes that are no tokens either leave no trace, as in llama.cpp.
                    for byte in word[symbol.start..<symbol.end] {
                        let text = traits.contains(.mergesCharacters) ? [UInt8].byteToken(byte) : [byte]
                        if let id = vocabulary.texts.index(of: text) { ids.append(id) }
                    }
                }
            }
        }
    }

    /// Whether a piece is the token that it spells, where there is one, without merges.
    private func isToken(_ word: [UInt8]) -> Bool {
        traits.contains(.ignoresMerges)
            || traits.contains(.keepsNewlines) && word.allSatisfy { $0 == UInt8(ascii: "\n") }
    }

    /// Whether a token is a byte's: its stand-in, or its number as other models spell it.
    static func spellsByte(_ token: ArraySlice<UInt8>) -> Bool { byteTexts.contains(Array(token)) }

    private static let byteTexts = Set((UInt8.min...UInt8.max).flatMap { byte in [standIn(byte), .byteToken(byte)] })

    /// The text of a byte's token.
    static func standIn(_ byte: UInt8) -> [UInt8] {
        var text: [UInt8] = []
        append(byte, to: &text)
        return text
    }

    /// GPT-2's visible stand-in for a byte: itself where Latin-1 prints it, else one of U+0100 on.
    private static func append(_ byte: UInt8, to word: inout [UInt8]) {
        let scalar = standIns[Int(byte)]
        if scalar < 0x80 {
            word.append(UInt8(scalar))
        } else {
            word.append(UInt8(0xC0 | scalar >> 6))
            word.append(UInt8(0x80 | scalar & 0x3F))
        }
    }

    private static let standIns: [UInt16] = {
        var next: UInt16 = 0x100
        return (UInt16(0)..<0x100).map { byte in
            if (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || byte >= 0xAE { return byte }
            next += 1
            return next - 1
        }
    }()
}
