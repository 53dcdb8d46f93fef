/// Finds special tokens in a text: everywhere the longest first, of one length the lower id.
struct SpecialTokens: Sendable {
    enum Fragment {
        case token(Int)
        case text(Range<Int>)
    }
    private struct Token: Sendable {
        var id: Int
        var text: [UInt8]
        var attributes: Vocabulary.Attributes
    }
    private let tokens: [Token]
    private let trie: Trie

    /// - Parameter text: of a token, as texts have it.
    init(_ vocabulary: Vocabulary, text: (Int) -> [UInt8]) {
        let tokens = vocabulary.specialTokens.map {
            Token(id: $0, text: text($0), attributes: vocabulary.attributes[$0])
        }
        var trie = Trie()
        for (index, token) in tokens.enumerated() { trie.insert(token.text, index) }
        self.tokens = tokens
        self.trie = trie
    }

    /// - Parameter all: control tokens and the unknown token too, not only user-defined ones.
    func partition(_ text: [UInt8], all: Bool) -> [Fragment] {
        guard !text.isEmpty else { return [] }
        var fragments = [Fragment.text(0..<text.count)]
        guard !trie.isEmpty else { return fragments }
        // Most texts hold few of the many tokens that there are.
        var found = Set<Int>()
        for start in text.indices { trie.matches(in: text, at: start) { index, _ in found.insert(index) } }
        for token in found.sorted().map({ tokens[$0] })
        where all || token.attributes.isDisjoint(with: [.control, .unknown]) {
            fragments = fragments.flatMap { fragment in
                if case .text(let range) = fragment { split(text, range, by: token) } else { [fragment] }
            }
        }
        return fragments
    }

    private func split(_ text: [UInt8], _ range: Range<Int>, by token: Token) -> [Fragment] {
        var fragments: [Fragment] = []
        var start = range.lowerBound
        var position = start
        while position + token.text.count <= range.upperBound {
            guard text[position] == token.text[0],
                text[position..<position + token.text.count].elementsEqual(token.text)
            else {
                position += 1
                continue
            }
            var end = position
            if token.attributes.contains(.stripsLeft) {
                while end > start, Self.isSpace(text[end - 1]) { end -= 1 }
            }
            if end > start { fragments.append(.text(start..<end)) }
            fragments.append(.token(token.id))
            start = position + token.text.count
            if token.attributes.contains(.stripsRight) {
                while start < range.upperBound, Self.isSpace(text[start]) { start += 1 }
            }
            position = start
        }
        if start < range.upperBound { fragments.append(.text(start..<range.upperBound)) }
        return fragments
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
}
