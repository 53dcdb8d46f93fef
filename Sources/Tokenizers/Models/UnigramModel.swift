import GGUF

/// The tokens whose log-probabilities have the highest sum, after normalisation by a table of replacements.
/// Source: Kudo, Subword Regularization, section 3.2, and SentencePiece.
struct UnigramModel: TokenizerModel {
    private let vocabulary: Vocabulary
    private let tokens: Trie
    private let userDefined: Trie
    private let unknownScore: Double
    private let replacements: CharacterMap?
    private let addsSpacePrefix: Bool
    private let mergesSpaces: Bool
    /// What replacements may make of a text: the longest that Unicode has are of eleven times as many bytes.
    private static let longestGrowth = 16

    init(_ metadata: Metadata, _ vocabulary: Vocabulary, addsSpacePrefix: Bool, mergesSpaces: Bool) throws {
        self.vocabulary = vocabulary
        self.addsSpacePrefix = addsSpacePrefix
        self.mergesSpaces = mergesSpaces
        replacements = try CharacterMap(metadata)
        var tokens = Trie(), userDefined = Trie()
        var lowest = Float.greatestFiniteMagnitude
        for id in 0..<vocabulary.count {
            let type = vocabulary.types[id]
            if type == .normal { lowest = min(lowest, vocabulary.scores[id]) }
            if [.normal, .userDefined, .unused].contains(type) { tokens.insert(vocabulary.texts[id], id) }
            if type == .userDefined { userDefined.insert(vocabulary.texts[id], id) }
        }
        self.tokens = tokens
        self.userDefined = userDefined
        unknownScore = Double(lowest - 10)
    }

    func encode(_ text: [UInt8], into ids: inout [Int]) throws {
        let text = try normalized(text)
        guard !text.isEmpty else { return }
        // The best way to each place: its score, and the token that ends there; nil is the unknown one.
        var best: [(score: Double, start: Int, id: Int?)] = Array(
            repeating: (-.greatestFiniteMagnitude, 0, nil), count: text.count + 1)
        best[0].score = 0
        text.characters { character in
            let start = character.lowerBound
            let score = best[start].score
            func offer(_ id: Int?, _ end: Int, _ added: Double) {
                if score + added > best[end].score { best[end] = (score + added, start, id) }
            }
            var isCovered = false
            tokens.matches(in: text, at: start) { id, end in
                if end == character.upperBound { isCovered = true }
                let isFree = vocabulary.attributes[id].contains(.userDefined)
                offer(id, end, isFree ? 0 : Double(vocabulary.scores[id]))
            }
            if !isCovered { offer(nil, character.upperBound, unknownScore) }
        }
        var found: [Int?] = []
        var end = text.count
        repeat {
            let id = best[end].id == vocabulary.special.unknown ? nil : best[end].id
            // Unknown characters in a row are one token.
            if id != nil || found.isEmpty || found.last != .some(nil) { found.append(id) }
            end = best[end].start
        } while end > 0
        for id in found.reversed() {
            guard let id = id ?? vocabulary.special.unknown else {
                throw TokenizerError(SpecialIDs.unknownKey, "is missing, and a text needs it")
            }
            ids.append(id)
        }
    }

    /// With spaces escaped, one put before the text, and runs of them made one, as the file says.
    private func normalized(_ text: [UInt8]) throws -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(text.count * 2)
        var isFirst = true
        var isInWord = false
        func append(_ byte: UInt8) {
            if byte == UInt8(ascii: " ") {
                isInWord = false
                if !mergesSpaces { result += .escapedSpace }
                return
            }
            if !isInWord {
                isInWord = true
                if addsSpacePrefix && isFirst || mergesSpaces {
                    result += .escapedSpace
                    isFirst = false
                }
            }
            result.append(byte)
        }
        var position = 0
        while position < text.count {
            // Any beginning of a user-defined token stays as it is, as in llama.cpp.
            let kept = userDefined.matches(in: text, at: position)
            if kept > position {
                text[position..<kept].forEach(append)
                position = kept
            } else if let (replacement, end) = try replacements?.replacement(in: text, at: position) {
                replacement.forEach(append)
                position = end
                guard result.count <= Self.longestGrowth * text.count + replacement.count else {
                    throw TokenizerError(
                        TokenizerKey.characterMap, "makes a text more than \(Self.longestGrowth) times as long")
                }
            } else {
                let end = position + [UInt8].characterLength(text[position])
                // A replacement may have ended within a character.
                let isWhole =
                    text[position] < 0x80
                    || text[position] >= 0xC0 && end <= text.count
                        && text[(position + 1)..<end].allSatisfy { $0 & 0xC0 == 0x80 }
                if isWhole { text[position..<end].forEach(append) } else { [0xEF, 0xBF, 0xBD].forEach(append) }
                position = isWhole ? end : position + 1
            }
        }
        return result
    }
}
