import GGUF

/// A tokenizer without the tokens that one text does not need: of a vocabulary of a hundred thousand tokens, some
/// hundred are left, and they cut the text as all of them do.
///
/// What is left, in its order: the tokens of the text, those that are parts of them, since some models make tokens of
/// smaller ones, those of single bytes, and those that have a role. Where no key says which token has a role, a key
/// says it now, since defaults are numbers. A chat template is left out: it wants tokens that are none of the text's.
public struct CutTokenizer: Sendable {
    /// The keys of the tokenizer and no others.
    public let metadata: Metadata

    /// - Parameters:
    ///   - metadata: with a tokenizer.
    ///   - text: what must be cut as it was; control tokens that it spells out are those tokens.
    /// - Throws: `TokenizerError` as `Tokenizer`, and where the text is cut in another way by what is left.
    public init(_ metadata: Metadata, to text: String) throws {
        let kind = try ModelKind(metadata)
        let tokenizer = try Tokenizer(metadata)
        let vocabulary = tokenizer.vocabulary
        let used = try tokenizer.encode(text, addSpecial: true, parseSpecial: true)

        var parts = Set<[UInt8]>()
        for id in Set(used) {
            let token = Array(vocabulary.texts[id])
            for start in token.indices {
                for end in start..<token.count { parts.insert(Array(token[start...end])) }
            }
        }
        var kept = Set(used)
        for id in 0..<vocabulary.count {
            let token = vocabulary.texts[id]
            if vocabulary.types[id] == .byte || kind.spellsByte(token) || parts.contains(Array(token)) {
                kept.insert(id)
            }
        }
        var roles: [(key: String, id: Int)] = SpecialIDs.defaultRoles(of: vocabulary.special)
        for (key, value) in metadata where key.hasPrefix(TokenizerKey.prefix) && key.hasSuffix("_token_id") {
            roles.removeAll { $0.key == key }
            if let id = value.integer, (0..<vocabulary.count).contains(id) { roles.append((key, id)) }
        }
        kept.formUnion(roles.map(\.id))

        let order = kept.sorted()
        var result = Metadata()
        for (key, value) in metadata where key.hasPrefix(TokenizerKey.prefix) && !key.hasSuffix("_token_id") {
            switch (key, value) {
            case (TokenizerKey.merges, .array(.string(let lines))):
                result[key] = .array(.string(lines.filter { parts.contains(Self.merged($0)) }))
            case (TokenizerKey.characterMap, _): result[key] = value
            case (TokenizerKey.tokens, .array(let all)), (TokenizerKey.scores, .array(let all)),
                (TokenizerKey.types, .array(let all)):
                let elements = order.map { all[$0] }
                result[key] = MetadataArray(elements).map(MetadataValue.array)
            case (_, .array): break
            default: result[key] = value
            }
        }
        let numbers = Dictionary(uniqueKeysWithValues: order.enumerated().map { ($1, $0) })
        for (key, id) in roles { result[key] = numbers[id].map { .uint32(UInt32($0)) } }

        let cut = try Tokenizer(result).encode(text, addSpecial: true, parseSpecial: true)
        guard cut == used.map({ numbers[$0] }) else {
            throw TokenizerError(
                TokenizerKey.tokens, "cannot be cut down to what the text needs: it has other tokens then")
        }
        self.metadata = result
    }

    /// What a line of the merges makes.
    private static func merged(_ line: String) -> [UInt8] {
        var bytes = Array(line.utf8)
        if let space = bytes.dropFirst().firstIndex(of: UInt8(ascii: " ")) { bytes.remove(at: space) }
        return bytes
    }
}

extension ModelKind {
    /// Whether a token is that of a single byte, without which some text has no tokens.
    fileprivate func spellsByte(_ token: ArraySlice<UInt8>) -> Bool {
        switch self {
        case .bytePair, .hybridDNA, .whitespace, .gemma4: BytePairModel.spellsByte(token)
        case .rwkv: RWKVModel.unescaped(token).count == 1
        default: false
        }
    }
}
