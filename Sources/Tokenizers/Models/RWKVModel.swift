/// The longest token at each place, in a vocabulary of escaped bytes.
/// Source: the RWKV world tokenizer.
struct RWKVModel: TokenizerModel {
    private let trie: Trie
    private let unknown: Int?

    init(_ vocabulary: Vocabulary) {
        var trie = Trie()
        for id in 0..<vocabulary.count { trie.insert(Self.unescaped(vocabulary.texts[id]), id) }
        self.trie = trie
        unknown = vocabulary.special.unknown
    }

    func encode(_ text: [UInt8], into ids: inout [Int]) throws {
        var position = 0
        while position < text.count {
            var longest: (id: Int, end: Int)?
            trie.matches(in: text, at: position) { longest = ($0, $1) }
            if let longest {
                ids.append(longest.id)
                position = longest.end
            } else {
                guard let unknown else {
                    throw TokenizerError(
                        TokenizerKey.tokens, "has no token for the byte \(text[position]), and a text needs it")
                }
                ids.append(unknown)
                position += 1
            }
        }
    }

    /// `\t`, `\n`, `\r`, `\x1F`, and a backslash before what stands for itself.
    static func unescaped(_ text: ArraySlice<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        var rest = text
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\") else {
                result.append(byte)
                continue
            }
            switch rest.popFirst() {
            case UInt8(ascii: "t"): result.append(0x09)
            case UInt8(ascii: "n"): result.append(0x0A)
            case UInt8(ascii: "r"): result.append(0x0D)
            case UInt8(ascii: "x"):
                guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
                else { return result }
                result.append(value)
                rest = rest.dropFirst(2)
            case let other?: result.append(other)
            case nil: break
            }
        }
        return result
    }
}
