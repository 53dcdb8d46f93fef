import ModelGraph

/// What the positions of a sequence give in windows of equal length, computed for each cell of a cache from the cells
/// of its own past: the last cell of a window stands for the window, and whoever sees that cell sees all of it.
extension GraphBuilder {
    /// `[C, C]`: 1 for the cells of each cell's own past that the window lets it see, itself included; else 0.
    func past(_ window: Mask.Window) -> Value {
        let mask = applyShared(
            .mask(Mask(causal: true, window: window)), cellPositions, cellSequences, cellPositions, cellSequences)
        return applyShared(.unary(.exp), mask)
    }

    /// `[T, C]`: a mask of the last cells of the windows that each token sees all of.
    func wholeWindows(of length: Int) -> Value {
        let isLast = (0..<length).map { $0 == length - 1 ? 0 : -Double.infinity }
        return cacheMask(Mask(causal: true)) + value(isLast, at: cellPositions).reshaped([batch.cells])
    }

    /// `[N, 1]`: for each of `positions`, what `numbers` say of its place in a window as long as they are many.
    func value(_ numbers: [Double], at positions: Value) -> Value {
        let table = applyShared(.constant(numbers)).reshaped([numbers.count, 1])
        return applyShared(.rows, table, applyShared(.windowPosition(length: numbers.count, .offset), positions))
    }

    /// `[T, C]`: 0 for the cells of the best windows that each token sees all of, and of what follows the last of
    /// these; next to −∞ elsewhere.
    /// - Parameter scores: `[T, C]` of windows, at their last cells, with `wholeWindows` as mask.
    func bestWindows(_ count: Int, of length: Int, by scores: Value) -> Value {
        let best = apply(.topCells(count: count), scores)(.exp)
        // A token that ends a window has nothing after its last whole one.
        let isWithin = (0..<length).map { $0 == length - 1 ? 0.0 : 1 }
        let rest = applyShared(.unary(.exp), cacheMask(Mask(causal: true, window: .chunked(length))))
            * value(isWithin, at: positions)
        let attended = apply(.pool, past(.chunked(length)), best) + rest
        return apply(.affine(scale: 2e30, bias: -1e30), attended).clamped(-1e30, 0)
    }

    /// `[C]` indices: where the window of each cell begins.
    func windowStarts(of length: Int) -> Value { applyShared(.windowPosition(length: length, .start), cellPositions) }
}

/// The indexer of Qwen sparse attention: it scores the mean keys of windows of positions; each token attends to the
/// best whole windows and to what follows the last of them.
///
/// Source: `Qwen4ExpTextQSAIndexer`, the code of its authors in transformers.
public struct WindowIndexer: Hashable, Sendable {
    public let heads: Int
    public let headSize: Int
    /// Positions of a window.
    public let length: Int
    /// Windows that each token attends to.
    public let count: Int

    /// - Parameter isRecurrent: of each block; the others have an indexer.
    public init(
        _ h: inout some Hyperparameters, _ dimensions: Dimensions, isRecurrent: [Bool], rotated: Int
    ) throws {
        heads = try h.integer("attention.indexer.head_count", 1...4096, fuzz: [4, 2, 1, 3, 8], "heads of the indexer")
        headSize = try h.integer(
            "attention.indexer.key_length", 1...65536, fuzz: Domains.indexerHeadSizes(rotated),
            "size of a head of the indexer")
        try h.require(
            headSize >= rotated, "attention.indexer.key_length", "rope.dimension_count",
            because: "heads of \(headSize) of the indexer, of which \(rotated) elements are rotated")
        let (lengths, key) = ([4, 2, 3, 8, 16], "attention.compress_ratios")
        let lengthsOfLayers = try h.integers(
            key, 0...65536, layouts: lengths.map { length in isRecurrent.map { $0 ? 0 : length } },
            layers: dimensions.blocks, default: isRecurrent.map { $0 ? 0 : lengths[0] },
            "positions of a window of the indexer; 0: the layer has none")
        let length = lengthsOfLayers.max() ?? 0
        self.length = length
        try h.require(
            (length > 1 || isRecurrent.allSatisfy { $0 })
                && zip(lengthsOfLayers, isRecurrent).allSatisfy { $0 == ($1 ? 0 : length) }, key,
            because: "is not one length of two or more for all layers of attention, and 0 for the others")
        let budget = try h.integer(
            "attention.indexer.top_k", 1...(1 << 30), fuzz: [2, 1, 3, 16].map { $0 * max(1, length) },
            "positions that each token attends to")
        try h.require(
            budget % max(1, length) == 0, "attention.indexer.top_k", key,
            because: "\(budget) positions are not whole windows of \(length)")
        count = budget / max(1, length)
    }

    /// `[T, C]`: 0 for the cells that each token attends to, and next to −∞ elsewhere.
    public func select(_ block: Scope, _ x: Value, rope: Rope, _ normalization: Normalization) -> Value {
        let (g, tokens) = (block.g, x.shape[0])
        let queries = block.norm(
            "indexer.q_norm", block.linear("indexer.q_proj", x, heads * headSize).reshaped([tokens, heads, headSize]),
            normalization).rotated(rope)
        let cache = block.state("cache_index", .cache, row: [1, headSize])
        let rows = block.store(block.linear("indexer.k_proj", x, headSize).reshaped([tokens, 1, headSize]), cache)
        let cells = rows.shape[0]
        let windows = g.past(.chunked(length))
        let means = g.apply(.pool, rows.reshaped([cells, headSize]), windows) * (1 / Double(length))
        let keys = g.apply(
            .rope(rope, factors: false),
            block.norm("indexer.k_norm", means, normalization).reshaped([cells, 1, headSize]),
            g.windowStarts(of: length))

        let weight = 1 / Double(headSize).squareRoot()
        let weights = g.applyShared(.constant(Array(repeating: weight, count: heads))).reshaped([1, heads])
            .broadcast([tokens, heads])
        let scores = g.apply(.indexScores, queries, keys, weights, g.wholeWindows(of: length))
        return g.bestWindows(count, of: length, by: scores)
    }
}
