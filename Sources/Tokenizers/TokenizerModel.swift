import GGUF

/// What turns the text between special tokens into tokens.
protocol TokenizerModel: Sendable {
    /// Appends the tokens of a text, which is not empty.
    /// - Throws: `TokenizerError` where the vocabulary has no tokens for it.
    func encode(_ text: [UInt8], into ids: inout [Int]) throws
}

/// The values of `tokenizer.ggml.model`, with what holds for each where the file does not say otherwise.
enum ModelKind: String, CaseIterable {
    case sentencePiece = "llama"
    case bytePair = "gpt2"
    case gemma4
    case hybridDNA = "hybriddna"
    case whitespace
    case wordPiece = "bert"
    case unigram = "t5"
    case rwkv
    case plamo2
    /// Five bytes a token, by a hash: what tests of llama.cpp use.
    case chunks = "test"

    /// - Throws: `TokenizerError` for a model that is missing, unknown, or says that there is no vocabulary.
    init(_ metadata: Metadata) throws {
        guard let name = try metadata.text(TokenizerKey.model) else {
            throw TokenizerError(TokenizerKey.model, "is missing")
        }
        guard let kind = ModelKind(rawValue: name) else {
            let shown = MetadataValue.string(name).summary
            guard !["none", "no_vocab"].contains(name) else {
                throw TokenizerError(TokenizerKey.model, "is \(shown): the model has no tokenizer")
            }
            let known = Self.allCases.map(\.rawValue).joined(separator: ", ")
            throw TokenizerError(TokenizerKey.model, "\(shown) is no known tokenizer; known: \(known)")
        }
        self = kind
    }

    /// What the file names; of models without byte pairs, none.
    /// - Throws: `TokenizerError` for one that is unknown.
    func preTokenizer(_ metadata: Metadata) throws -> PreTokenizer {
        switch self {
        case .gemma4: return try PreTokenizer.named(rawValue)
        case .bytePair, .hybridDNA, .whitespace:
            let name = try metadata.text(TokenizerKey.pre) ?? ""
            return try PreTokenizer.named(name.isEmpty ? PreTokenizer.default : name)
        default: return PreTokenizer(splits: [])
        }
    }

    /// Before the file's own ids.
    var specialIDs: SpecialIDs {
        switch self {
        case .sentencePiece, .plamo2: SpecialIDs(beginning: 1, end: 2, unknown: 0)
        case .bytePair, .hybridDNA, .whitespace: SpecialIDs(beginning: 11, end: 11)
        case .wordPiece: SpecialIDs(beginning: 101, unknown: 100, separator: 102)
        case .unigram: SpecialIDs(end: 1, unknown: 2)
        case .gemma4, .rwkv, .chunks: SpecialIDs()
        }
    }
}
