import ModelGraph

/// The indexer of MiniMax sparse attention: a scorer with keys of its own picks, for each group of query heads, the
/// blocks of positions that it attends to.
///
/// Source: `MiniMaxM3VLIndexer`, the code of MiniMax-M3's authors in transformers.
public struct BlockIndexer: Hashable, Sendable {
    /// One for each key/value head.
    public let heads: Int
    public let headSize: Int
    public let selection: BlockSelection

    /// - Parameters:
    ///   - groups: key/value heads.
    ///   - rotated: elements of each head that are rotated.
    public init(_ h: inout some Hyperparameters, groups: Int, rotated: Int) throws {
        heads = try h.integer(
            "attention.indexer.head_count", 1...4096, fuzz: [groups],
            "heads of the indexer, one for each key/value head")
        try h.require(
            heads == groups, "attention.indexer.head_count", "attention.head_count_kv",
            because: "the indexer has a head for each of \(groups) key/value heads")
        headSize = try h.integer(
            "attention.indexer.key_length", 1...65536, fuzz: Domains.indexerHeadSizes(rotated),
            "size of a head of the indexer")
        try h.require(
            headSize >= rotated, "attention.indexer.key_length", "rope.dimension_count",
            because: "heads of \(headSize) of the indexer, of which \(rotated) elements are rotated")
        let size = try h.integer(
            "attention.indexer.block_size", 1...65536, fuzz: [4, 2, 1, 3, 8, 16, 128], "positions of a block")
        let count = try h.integer(
            "attention.indexer.top_k", 1...65536, fuzz: [2, 1, 3, 8, 16], "blocks that each token attends to")
        let local = try h.integer(
            "attention.indexer.local_blocks", 0...65536, fuzz: [1, 0, 2].filter { $0 <= count },
            "of these the last ones, its own first")
        try h.require(
            local <= count, "attention.indexer.local_blocks", "attention.indexer.top_k",
            because: "\(local) of \(count) blocks are local")
        selection = BlockSelection(size: size, count: count, local: local)
    }

    /// `[H, T, C]`: a bias for each of `queryHeads` query heads, −∞ for what it does not attend to.
    public func select(
        _ block: Scope, _ x: Value, queryHeads: Int, rope: Rope, _ normalization: Normalization
    ) -> Value {
        let (g, tokens) = (block.g, x.shape[0])
        func projected(_ name: String, _ heads: Int) -> Value {
            let rows = block.linear("indexer.\(name)_proj", x, heads * headSize).reshaped([tokens, heads, headSize])
            return block.norm("indexer.\(name)_norm", rows, normalization).rotated(rope)
        }
        let queries = projected("q", heads)
        let cache = block.state("cache_index", .cache, row: [1, headSize], rotation: g.rotation(rope))
        let keys = block.store(projected("k", 1), cache)
        let cells = keys.shape[0]
        let scores = queries.reshaped([tokens * heads, headSize]).matmul(keys.reshaped([cells, headSize]))
        let chosen = g.apply(
            .topBlocks(selection), scores.reshaped([tokens, heads, cells]), g.cacheMask(Mask(causal: true)),
            g.positions,
            g.cellPositions)
        return chosen.reshaped([heads, 1, tokens, cells]).broadcast([heads, queryHeads / heads, tokens, cells])
            .reshaped([queryHeads, tokens, cells])
    }
}
