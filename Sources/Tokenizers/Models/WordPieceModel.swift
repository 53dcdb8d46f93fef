import Foundation

/// The longest token at each place of a word; a word that cannot be put together so is unknown.
/// Source: Devlin et al., BERT, and its BasicTokenizer, which cuts texts into words.
struct WordPieceModel: TokenizerModel {
    private let trie: Trie
    private let unknown: Int?
    private let lowercases: Bool
    private let stripsAccents: Bool

    init(_ vocabulary: Vocabulary, lowercases: Bool, stripsAccents: Bool) {
        var trie = Trie()
        for id in 0..<vocabulary.count { trie.insert(vocabulary.texts[id], id) }
        self.trie = trie
        unknown = vocabulary.special.unknown
        self.lowercases = lowercases
        self.stripsAccents = stripsAccents
    }

    func encode(_ text: [UInt8], into ids: inout [Int]) throws {
        for word in words(text) {
            // Tokens that begin a word begin with an escaped space; others continue one.
            let word = .escapedSpace + word
            let count = ids.count
            var start = 0
            while start < word.count {
                var longest: (id: Int, end: Int)?
                trie.matches(in: word, at: start) { longest = ($0, $1) }
                guard let longest else {
                    ids.removeLast(ids.count - count)
                    break
                }
                ids.append(longest.id)
                start = longest.end
            }
            guard ids.count == count else { continue }
            guard let unknown else {
                throw TokenizerError(SpecialIDs.unknownKey, "is missing, and a text needs it")
            }
            ids.append(unknown)
        }
    }

    private func words(_ text: [UInt8]) -> [[UInt8]] {
        var words: [[UInt8]] = []
        var word: [UInt8] = []
        var bases: [Unicode.Scalar: Unicode.Scalar] = [:]
        func end() {
            if !word.isEmpty { words.append(word) }
            word = []
        }
        for original in text.scalars {
            var scalar = original
            if stripsAccents, !original.isASCII {
                let known = bases[original]
                scalar = known ?? original.base
                if known == nil { bases[original] = scalar }
            }
            let scalarClass = ScalarClass(scalar)
            if scalarClass == .whitespace {
                end()
                continue
            }
            if scalar.value == 0 || scalar == "\u{FFFD}" || scalarClass == .control { continue }
            if stripsAccents, scalarClass == .mark { continue }
            let isAlone =
                scalarClass == .punctuation || scalar.value < 0x7F && scalarClass == .symbol || scalar.isIdeograph
            if isAlone { end() }
            word.append(lowercases ? scalar.lowercased : scalar)
            if isAlone { end() }
        }
        end()
        return words
    }
}

extension Unicode.Scalar {
    /// The first scalar of its canonical decomposition.
    fileprivate var base: Unicode.Scalar {
        String(Character(self)).decomposedStringWithCanonicalMapping.unicodeScalars.first ?? self
    }

    /// Whether it is a word by itself. The gap before U+2B920 is in the reference implementation too.
    fileprivate var isIdeograph: Bool {
        switch value {
        case 0x4E00...0x9FFF, 0x3400...0x4DBF, 0x20000...0x2A6DF, 0x2A700...0x2B73F, 0x2B740...0x2B81F,
            0x2B920...0x2CEAF, 0xF900...0xFAFF, 0x2F800...0x2FA1F:
            true
        default: false
        }
    }
}
