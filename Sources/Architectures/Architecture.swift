import GGUF
import ModelGraph

/// A model architecture: hyperparameters, tensors and graph, each declared once.
public protocol Architecture: Sendable {
    /// The value of `general.architecture`.
    static var name: String { get }
    /// The tokens whose logits are the least number, whatever the weights: what it may be given and never says.
    static var silentTokens: Range<Int> { get }

    /// Declares every hyperparameter by asking for it.
    /// - Throws: `MetadataError`.
    init(_ hyperparameters: inout some Hyperparameters) throws

    var dimensions: Dimensions { get }
    var traits: Traits { get }

    /// Records the graph of one batch, asking for each tensor on the way, and names its outputs.
    func build(_ g: GraphBuilder)
}

extension Architecture {
    public static var silentTokens: Range<Int> { 0..<0 }
}

/// What a session must know of an architecture beyond its graph.
public struct Traits: Hashable, Sendable {
    /// The model has an encoder that runs before the decoder (`BatchShape.Stage.encode`).
    public var hasEncoder: Bool
    /// Every token sees the whole batch, later tokens included.
    public var isBidirectional: Bool
    /// How the embeddings of a sequence become one where the metadata says so.
    public var pooling: Pooling
    /// How the embeddings become one before they are classified (`Pooling.rank`).
    public var classifierPooling: Pooling
    /// Blocks after the model's own that predict further tokens (`BatchShape.Stage.predict`).
    public var predictionBlocks: Int
    /// Whether tokens may be given as embeddings, as those of images are (`BatchShape.isEmbedded`).
    public var takesEmbeddings: Bool
    /// What a model that drafts another one's tokens is given of that one; nil: it drafts none.
    public var drafting: Drafting?
    /// Whether it scores the options of the questions that a batch asks, a row each, in place of tokens.
    public var decides: Bool
    public init(
        hasEncoder: Bool = false, isBidirectional: Bool = false, pooling: Pooling = .none,
        classifierPooling: Pooling = .cls, predictionBlocks: Int = 0, takesEmbeddings: Bool = false,
        drafting: Drafting? = nil, decides: Bool = false
    ) {
        self.hasEncoder = hasEncoder
        self.isBidirectional = isBidirectional
        self.pooling = pooling
        self.classifierPooling = classifierPooling
        self.predictionBlocks = predictionBlocks
        self.takesEmbeddings = takesEmbeddings
        self.drafting = drafting
        self.decides = decides
    }

    /// Of a decoder, which its metadata may make one of texts rather than tokens.
    /// - Parameters:
    ///   - bidirectional: whether its graph has that direction of attention too.
    ///   - poolings: what else than single tokens it can give.
    public init(
        decoder h: inout some Hyperparameters, bidirectional: Bool = true, poolings: [Pooling] = Pooling.ofTexts,
        predictionBlocks: Int = 0, takesEmbeddings: Bool = false
    ) throws {
        let isCausal = try h.boolean(
            "attention.causal", among: bidirectional ? [true, false] : [true], default: true, isRare: true,
            "whether tokens see no later ones")
        let pooling = try h.option(
            "pooling_type", among: poolings, default: .none, isRare: true,
            "how the embeddings of a sequence become one")
        self.init(
            isBidirectional: !isCausal, pooling: pooling, classifierPooling: .last, predictionBlocks: predictionBlocks,
            takesEmbeddings: takesEmbeddings)
    }

    /// The graphs that a session runs.
    public var stages: [BatchShape.Stage] { hasEncoder ? [.encode, .decode] : [.decode] }
    /// The graphs that the model has: those of prediction blocks too, which are not run.
    public var allStages: [BatchShape.Stage] { stages + (0..<predictionBlocks).map { .predict(block: $0) } }

    /// Whether a batch is computed by itself and nothing kept for the next: its tokens see each other, become one
    /// embedding, or ask what is decided.
    public var isOfWholeBatches: Bool { isBidirectional || pooling != .none || decides }
    /// What a token sees of its own sequence.
    public var mask: Mask { Mask(causal: !isBidirectional) }

    /// Whether a token may have this number: one of the vocabulary, or below 0 that of an embedding.
    /// - Parameter wholeBatches: whether tokens belong together: all but a draft's are of one kind then.
    public func takes(_ id: Int, wholeBatches: Bool, vocabulary: Int) -> Bool {
        guard id < 0 else { return id < vocabulary }
        guard takesEmbeddings, !wholeBatches || drafting == .context else { return false }
        return drafting != .states || ~id < vocabulary
    }

    /// Whether the token of this number is context only, and has no output.
    public func isContext(_ id: Int) -> Bool { drafting == .context && id < 0 }
}

/// What a draft is given of its target, the model whose tokens it drafts, which has seen them before.
public enum Drafting: Hashable, Sendable {
    /// A state beside each token (`Input.hidden`), as the draft itself makes them. Where embeddings are taken, the one
    /// of a number is what the target made of the token of that number.
    case states
    /// Embeddings that are what the target made of tokens. Keys and values of them are all that is kept; of tokens that
    /// see each other, they come first.
    case context
}

/// Raw values as in `<architecture>.pooling_type`.
public enum Pooling: Int, HyperparameterOption, CaseIterable {
    case none = 0
    case mean = 1
    /// The first token.
    case cls = 2
    case last = 3
    /// Classification scores: of the first token, of the last one in a decoder, or of what `classifier.pooling_type`
    /// says.
    case rank = 4

    /// Those that need no tensors.
    public static let ofTexts: [Pooling] = [.none, .mean, .cls, .last]
}

/// The sizes that every model has.
public struct Dimensions: Hashable, Sendable {
    public let vocabulary: Int
    /// Positions that the model was trained on.
    public let context: Int
    /// Width of the residual stream.
    public let embedding: Int
    /// Blocks that make the model's results.
    public let layers: Int
    /// Those, and the prediction blocks after them: keys with a value a layer have so many.
    public let blocks: Int

    /// - Parameters:
    ///   - predictionBlocks: whether the model may have them.
    ///   - isDraft: whether it consists of them, as the file says: here its blocks are its own.
    public init(
        _ h: inout some Hyperparameters, embeddings: [Int] = Domains.sizes, layers: [Int] = [1, 2, 3, 4],
        vocabularies: [Int] = Domains.vocabularies, predictionBlocks: Bool = false, isDraft: Bool = false
    ) throws {
        vocabulary = try h.integer("vocab_size", 1...(1 << 24), fuzz: vocabularies, "tokens in the vocabulary")
        context = try h.integer("context_length", 1...(1 << 30), fuzz: [256, 128, 64], "positions trained on")
        let width = try h.integer("embedding_length", 1...(1 << 20), fuzz: embeddings, "width of the residual stream")
        embedding = width
        let key = "nextn_predict_layers"
        let predicting = try isDraft ? 0 : predictionBlocks
            ? h.integer(
                key, 0...8, fuzz: [0, 1, 2], default: 0, isRare: true, "the last blocks, which predict further tokens")
            // The last of the blocks would be of that kind.
            : h.integer(key, 0...0, fuzz: [0], default: 0, "blocks that predict further tokens: not supported")
        // What is wide is shallow: else the few large toys would take most of the time.
        blocks = try h.integer(
            "block_count", 1...512, fuzz: layers.affordable { $0 * width <= 512 }.map { $0 + predicting },
            "number of blocks, those that predict further tokens included")
        self.layers = blocks - predicting
        try h.require(
            self.layers > 0, "block_count", key,
            because: "\(predicting) of \(blocks) blocks predict further tokens: the model has none")
        if isDraft { _ = try h.integer(
            key, blocks...blocks, fuzz: [blocks], "number of blocks, all of which draft tokens") }
    }

    /// The blocks that predict further tokens.
    public var predictionBlocks: Int { blocks - layers }
}

/// Fuzz domains that many hyperparameters share: sizes at and around tile edges, simplest first.
public enum Domains {
    public static let sizes = [32, 64, 96, 128, 160, 33, 40, 48, 63, 65, 72, 80, 112, 120, 127, 129, 192, 256]
    /// Widths that heads can split into parts that can be rotated.
    public static let evenSizes = sizes.filter { $0 % 2 == 0 }
    public static let feedForward = [32, 64, 96, 128, 31, 33, 63, 65, 1, 2, 3, 127, 129, 256]
    public static let vocabularies = [32, 33, 63, 64, 65, 100, 128, 129]
    public static let headSizes = [16, 32, 64, 8, 2, 4, 6, 40, 72, 80, 96, 112]
    public static let epsilons = [1e-5, 1e-6, 1e-3, 1e-12]
    /// Scales at 1, 0 and neither.
    public static let scales = [1, 0.5, 2.5]

    /// Sizes of an indexer's heads that have `least` elements or more; that many where all are smaller.
    static func indexerHeadSizes(_ least: Int) -> [Int] {
        let sizes = [64, 128, 32, 16, 40, 96].filter { $0 >= least }
        return sizes.isEmpty ? [least] : sizes
    }

    /// The elements of `candidates` that divide `whole`; 1 always does.
    public static func divisors(of whole: Int, among candidates: [Int] = Array(1...16)) -> [Int] {
        let divisors = candidates.filter { whole % $0 == 0 }
        return divisors.isEmpty ? [1] : divisors
    }
}

extension [Int] {
    /// The sizes that a toy can have at that price; the least where there is none.
    func affordable(_ isAffordable: (Int) -> Bool) -> [Int] {
        let affordable = filter(isAffordable)
        return affordable.isEmpty ? [self.min() ?? 1] : affordable
    }
}
