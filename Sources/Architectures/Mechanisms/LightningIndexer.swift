import ModelGraph

/// The lightning indexer of DeepSeek Sparse Attention: a small scorer with keys of its own picks the positions that
/// each token attends to.
///
/// Source: DeepSeek-V3.2 (2025), section 2.1, and `DeepseekV32Indexer` of transformers. The Hadamard transform of
/// queries and keys in the authors' own kernels leaves their products as they are.
public struct LightningIndexer: Hashable, Sendable {
    public let heads: Int
    public let headSize: Int
    /// Positions that each token may attend to.
    public let count: Int

    /// Scores of few heads are often 0 for all of them, and equal.
    static let headCounts = [8, 4, 16, 5, 33]
    /// Around the tokens of a toy's sequences, and more than those.
    static let counts = [8, 4, 2, 16, 3, 1, 33, 512]

    /// - Parameters:
    ///   - least: elements of each head that there must be.
    ///   - count: of positions, where the architecture knows it already.
    public init(_ h: inout some Hyperparameters, least: Int, count known: Int? = nil) throws {
        heads = try h.integer("attention.indexer.head_count", 1...4096, fuzz: Self.headCounts, "heads of the indexer")
        headSize = try h.integer(
            "attention.indexer.key_length", 1...65536, fuzz: Domains.indexerHeadSizes(least), isRare: true,
            "size of a head of the indexer")
        count = try known ?? h.integer(
            "attention.indexer.top_k", 1...(1 << 30), fuzz: Self.counts, "positions that each token may attend to")
        try h.require(
            headSize >= least, "attention.indexer.key_length", "rope.dimension_count",
            because: "heads of \(headSize) of the indexer: \(least) elements are needed")
    }

    /// Of DeepSeek's models and those after them.
    /// Source: `k_norm` in the authors' code of DeepSeek-V3.2, GLM-5 and dots3-note.
    public static let normalization = Normalization(.layer, epsilon: 1e-6, bias: .required)

    /// `[T, C]`: a mask of the positions that each token attends to.
    ///
    /// - Parameters:
    ///   - compressed: what queries of the block's attention are made from.
    ///   - mask: the positions that each token sees.
    public func select(
        _ block: Scope, _ x: Value, compressed: Value, mask: Value, rope: Rope,
        _ normalization: Normalization = LightningIndexer.normalization
    ) -> Value {
        let (g, tokens) = (block.g, x.shape[0])
        let queries = block.linear("indexer.attn_q_b", compressed, heads * headSize)
            .reshaped([tokens, heads, headSize]).rotated(rope)
        let keys = block.norm("indexer.k_norm", block.linear("indexer.attn_k", x, headSize), normalization)
            .reshaped([tokens, 1, headSize]).rotated(rope)
        let cache = block.state("cache_index", .cache, row: [1, headSize], rotation: g.rotation(rope))
        let weights = block.linear("indexer.proj", x, heads) * (1 / Double(heads * headSize).squareRoot())
        let scores = g.apply(.indexScores, queries, block.store(keys, cache), weights, mask)
        return g.apply(.topCells(count: count), scores)
    }

    /// Which layers have an indexer; the others attend to what the last of these before them picked.
    ///
    /// - Parameters:
    ///   - absent: where the metadata does not say; nil: it must.
    ///   - isAttention: of each layer, where not all are; what is said of the others means nothing.
    /// Source: `indexer_types` in the authors' code of GLM-5.2 and Hy4.
    public static func layers(
        _ h: inout some Hyperparameters, _ dimensions: Dimensions, default absent: [Bool]? = nil,
        among isAttention: [Bool]? = nil
    ) throws -> [Bool] {
        let layers = dimensions.layers
        let all = Array(repeating: true, count: layers)
        let first = isAttention?.firstIndex(of: true) ?? 0
        let layouts = [absent ?? all] + LayerLayouts.mixtures(of: layers).filter { $0[first] }
        let (key, about) =
            ("attention.indexer.types", "whether each layer has an indexer; others share the last one's choice")
        let flags = if let absent {
            try h.optionalFlags(key, layouts: layouts, layers: layers, about) ?? absent
        } else {
            try h.flags(key, layouts: layouts, layers: layers, about)
        }
        try h.require(
            flags[first], "attention.indexer.types",
            because: "the first layer of attention has no indexer, and none before it to share")
        return flags
    }
}
