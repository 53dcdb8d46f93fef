import GGUF

/// The tokenizer that a GGUF file's metadata describe: any of llama.cpp 0.3.36, with the same ids for the same text.
///
/// The sources of all of it are the format's specification and `src/llama-vocab.cpp` and `src/unicode.cpp` of that
/// llama.cpp. Where files leave things open, its defaults hold.
public struct Tokenizer: Sendable {
    private let model: any TokenizerModel
    private let kind: ModelKind
    let vocabulary: Vocabulary
    private let specialTokens: SpecialTokens
    private let addsBeginning: Bool
    private let addsEnd: Bool
    private let addsSpacePrefix: Bool
    private let escapesSpaces: Bool

    /// - Throws: `TokenizerError`, with the key, for a tokenizer that is unknown or contradicts itself.
    public init(_ metadata: Metadata) throws {
        kind = try ModelKind(metadata)
        let preTokenizer = try kind.preTokenizer(metadata)
        let traits = preTokenizer.traits
        var defaults = kind.specialIDs
        if traits.contains(.lacksBeginning) { defaults.beginning = nil }
        let vocabulary = try Vocabulary(metadata, defaults)
        self.vocabulary = vocabulary
        let addsBeginning =
            try metadata.flag(TokenizerKey.addsBeginning) ?? (kind == .sentencePiece || traits.contains(.addsBeginning))
        self.addsBeginning = addsBeginning || traits.contains(.forcesBeginning)
        addsEnd = try metadata.flag(TokenizerKey.addsEnd) ?? (kind == .unigram)
        addsSpacePrefix = try metadata.flag(TokenizerKey.addsSpacePrefix) ?? (kind == .sentencePiece)
        escapesSpaces = kind == .sentencePiece || traits.contains(.escapesSpaces)
        let removesExtraSpaces = try metadata.flag(TokenizerKey.removesExtraSpaces) ?? false
        let lowercases = try metadata.flag(TokenizerKey.lowercases) ?? !traits.contains(.keepsCase)
        let stripsAccents = try metadata.flag(TokenizerKey.stripsAccents) ?? lowercases

        func pairs() throws -> BytePairModel { try BytePairModel(metadata, vocabulary, preTokenizer) }
        model =
            switch kind {
            case .sentencePiece: SentencePieceModel(vocabulary)
            case .bytePair, .gemma4: try pairs()
            case .hybridDNA: HybridDNAModel(try pairs(), vocabulary)
            case .whitespace: WhitespaceModel(try pairs(), lowercases: lowercases)
            case .wordPiece: WordPieceModel(vocabulary, lowercases: lowercases, stripsAccents: stripsAccents)
            case .unigram:
                try UnigramModel(
                    metadata, vocabulary, addsSpacePrefix: addsSpacePrefix, mergesSpaces: removesExtraSpaces)
            case .rwkv: RWKVModel(vocabulary)
            case .plamo2: try Plamo2Model(vocabulary)
            case .chunks: ChunkModel(count: vocabulary.count)
            }
        specialTokens = SpecialTokens(vocabulary) { [kind] id in
            kind == .hybridDNA ? HybridDNAModel.text(id, vocabulary) : Array(vocabulary.texts[id])
        }
    }

    /// The ids of a text's tokens.
    /// - Parameters:
    ///   - text: what is cut into tokens.
    ///   - addSpecial: with the tokens that mark its beginning and its end, where the model has them.
    ///   - parseSpecial: control tokens that the text spells out are those tokens. User-defined tokens always are.
    /// - Throws: `TokenizerError` where the vocabulary lacks a token that the text, or `addSpecial`, needs.
    public func encode(_ text: String, addSpecial: Bool = false, parseSpecial: Bool = false) throws -> [Int] {
        let bytes = Array(text.utf8)
        var ids: [Int] = []
        if addSpecial { try addBeginning(&ids) }
        var isAfterText = false
        for fragment in specialTokens.partition(bytes, all: parseSpecial) {
            switch fragment {
            case .token(let id):
                ids.append(id)
                isAfterText = false
            case .text(let range):
                var piece = Array(bytes[range])
                if kind == .sentencePiece, addsSpacePrefix, !isAfterText { piece.insert(UInt8(ascii: " "), at: 0) }
                try model.encode(escapesSpaces ? piece.escapingSpaces : piece, into: &ids)
                isAfterText = true
            }
        }
        if addSpecial { try addEnd(&ids) }
        return ids
    }

    /// The tokens that begin and end a text; nil where there are none.
    public var beginning: Int? { special.beginning }
    public var end: Int? { special.end }
    private var special: SpecialIDs { vocabulary.special }

    private func addBeginning(_ ids: inout [Int]) throws {
        switch kind {
        case .wordPiece: ids.append(try required(special.beginning, SpecialIDs.beginningKey))
        case .rwkv, .plamo2, .chunks: break
        default: if addsBeginning { ids.append(try required(special.beginning, SpecialIDs.beginningKey)) }
        }
    }

    private func addEnd(_ ids: inout [Int]) throws {
        switch kind {
        case .wordPiece: ids.append(try required(special.separator, SpecialIDs.separatorKey))
        case .rwkv, .plamo2, .chunks: break
        default: if addsEnd { ids.append(try required(special.end, SpecialIDs.endKey)) }
        }
    }

    private func required(_ id: Int?, _ key: String) throws -> Int {
        guard let id else { throw TokenizerError(key, "is missing, and a text needs it") }
        return id
    }
}
