import ModelGraph

/// The indexer of GLM-5.3: as DeepSeek's, of windows of positions, whose keys are means by learned weights; each token
/// attends to the best whole windows and to what follows the last of them. Windows of one position, of which llama.cpp
/// makes an end, are read and not drawn.
///
/// Source: `Glm5NextTextIndexer`, the code of its authors in transformers.
public struct PooledIndexer: Hashable, Sendable {
    public let heads: Int
    public let headSize: Int
    /// Positions of a window.
    public let length: Int
    /// Windows that each token attends to.
    public let count: Int

    public init(_ h: inout some Hyperparameters) throws {
        heads = try h.integer(
            "attention.indexer.head_count", 1...4096, fuzz: LightningIndexer.headCounts, "heads of the indexer")
        headSize = try h.integer(
            "attention.indexer.key_length", 1...65536, fuzz: Domains.indexerHeadSizes(1), isRare: true,
            "size of a head of the indexer")
        let length = try h.integer("attention.indexer.kpool", 1...65536, fuzz: [4, 2, 3, 8, 16], "positions of a window of the indexer")
        let budget = try h.integer(
            "attention.indexer.top_k", 1...(1 << 30), fuzz: [2, 1, 3, 16].map { $0 * length },
            "positions that each token attends to")
        try h.require(
            budget % length == 0, "attention.indexer.top_k", "attention.indexer.kpool",
            because: "\(budget) positions are not whole windows of \(length)")
        // Without them the first tokens attend to nothing.
        _ = try h.boolean(
            "attention.indexer.kpool_select_tail", among: [true], default: true,
            "whether a token attends to what follows the last whole window")
        self.length = length
        count = budget / length
    }

    /// `[T, C]`: a mask of the positions that each token attends to.
    ///
    /// - Parameters:
    ///   - compressed: what queries of the block's attention are made from.
    ///   - mask: the positions that each token sees.
    public func select(_ block: Scope, _ x: Value, compressed: Value, mask: Value) -> Value {
        let (g, tokens) = (block.g, x.shape[0])
        func kept(_ name: String, _ rows: Value) -> Value {
            let kept = block.store(rows.reshaped([tokens, 1, headSize]), block.state(name, .cache, row: [1, headSize]))
            return kept.reshaped([kept.shape[0], headSize])
        }
        let keys = kept(
            "cache_index",
            block.norm("indexer.k_norm", block.linear("indexer.attn_k", x, headSize), LightningIndexer.normalization))
        let gates = kept("cache_index_gate", block.linear("indexer_compressor_gate", x, headSize))
        let places = block.weight("indexer_compressor_ape.weight", [length, headSize], .positionBias)
        let weights = (gates + places.rows(
            g.applyShared(.windowPosition(length: length, .offset), g.cellPositions)))(.exp)
        let windows = g.past(.chunked(length))
        // Empty cells have no weights at all.
        let means = g.apply(.pool, weights * keys, windows) / (g.apply(.pool, weights, windows) + 1e-30)

        let queries = block.linear("indexer.attn_q_b", compressed, heads * headSize).reshaped([tokens, heads, headSize])
        let shares = block.linear("indexer.proj", x, heads) * (1 / Double(heads * headSize).squareRoot())
        let scores = g.apply(
            .indexScores, queries, means.reshaped([means.shape[0], 1, headSize]), shares, g.wholeWindows(of: length))
        return mask + g.bestWindows(count, of: length, by: scores)
    }
}
