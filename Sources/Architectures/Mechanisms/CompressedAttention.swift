import ModelGraph

/// DeepSeek-V4's attention: one key for all heads, which is its own value, in a window; beyond that, entries that
/// compress windows of positions, of which an indexer picks the best where they are short.
///
/// Sources: DeepSeek-V4 (2026), section 2.3; `DeepseekV4Attention` of transformers.
public struct CompressedAttention: Hashable, Sendable {
    public let heads: Int
    public let headSize: Int
    public let queryRank: Int
    public let window: Int
    /// Rotations of layers without and with compressed entries.
    let rope: Rope
    let compressedRope: Rope
    /// Groups of heads whose outputs are narrowed together, and to what width.
    let outputGroups: Int
    let outputRank: Int
    let indexerHeads: Int
    let indexerSize: Int
    let indexerCount: Int
    /// Positions that an entry compresses, of each layer; 0: the layer has none.
    let lengths: [Int]
    let normalization: Normalization

    /// Short windows overlap, and have an indexer.
    static let (short, long) = (4, 128)

    public init(_ h: inout some Hyperparameters, _ dimensions: Dimensions, _ normalization: Normalization) throws {
        self.normalization = normalization
        let sizes = 1...65536
        heads = try h.integer("attention.head_count", 1...4096, fuzz: [4, 2, 1, 3, 8], "query heads")
        _ = try h.integer("attention.head_count_kv", 1...1, fuzz: [1], "one key for all heads, which is its own value")
        headSize = try h.integer("attention.key_length", sizes, fuzz: [32, 64, 16, 8, 40, 128], "size of a head")
        let size = headSize
        _ = try h.integer("attention.value_length", size...size, fuzz: [size], "size of a value head, which is the key")
        let rotated = try h.integer(
            "rope.dimension_count", 2...65536, fuzz: [size / 2, size, 2], "rotated elements at the end of each head")
        try h.require(
            rotated % 2 == 0 && rotated <= size, "rope.dimension_count", "attention.key_length",
            because: "\(rotated) rotated elements of heads of \(size): must be even and no more than the head")
        let rotary = try RotaryEmbedding(
            &h, dimensions, rotated: rotated, pairing: .normal, scalings: [.linear, .none, .yarn])
        let compressedBase = try h.real(
            "attention.compress_rope_freq_base", 1...1e12, fuzz: [160_000, 10_000, 100],
            "base of the rotation frequencies of layers with compressed entries")
        rope = Rope(pairing: .normal, dimensions: rotated, offset: size - rotated, base: rotary.base)
        // YaRN's magnitude is left out.
        var compressed = rotary.rope(offset: size - rotated, base: compressedBase)
        compressed.magnitude = 1
        compressedRope = compressed
        queryRank = try h.integer(
            "attention.q_lora_rank", sizes, fuzz: [32, 16, 64, 33], "width of the compressed query")
        window = try h.integer(
            "attention.sliding_window", 1...(1 << 30), fuzz: [8, 1, 3, 16, 32, 128], "positions of the window")
        let groups = Domains.divisors(of: heads)
        outputGroups = try h.integer(
            "attention.output_group_count", 1...4096, fuzz: groups,
            "groups of heads whose outputs are narrowed together")
        try h.require(
            heads % outputGroups == 0, "attention.head_count", "attention.output_group_count",
            because: "\(heads) heads do not divide among \(outputGroups) groups")
        outputRank = try h.integer(
            "attention.output_lora_rank", sizes, fuzz: [16, 1, 8, 33], "width to which a group is narrowed")
        indexerHeads = try h.integer(
            "attention.indexer.head_count", 1...4096, fuzz: [8, 4, 16, 5], "heads of the indexer")
        indexerSize = try h.integer(
            "attention.indexer.key_length", sizes, fuzz: [64, 128, 32].filter { $0 >= rotated },
            "size of a head of the indexer")
        try h.require(
            indexerSize >= rotated, "attention.indexer.key_length", "rope.dimension_count",
            because: "heads of \(indexerSize) of the indexer, of which \(rotated) elements are rotated")
        indexerCount = try h.integer(
            "attention.indexer.top_k", 1...(1 << 30), fuzz: [2, 1, 3, 8, 512], "entries that each token attends to")
        let kinds = [Self.short, 0, Self.long], layers = dimensions.layers
        lengths = try h.integers(
            "attention.compress_ratios", 0...Self.long,
            layouts: kinds.map { kind in (0..<layers).map { _ in kind } }
                + (layers > 1 ? kinds.indices.map { start in (0..<layers).map { kinds[(start + $0) % 3] } } : []),
            layers: layers, default: Array(repeating: 0, count: layers),
            "positions that an entry compresses; 0: the layer has none")
        try h.require(
            lengths.allSatisfy(kinds.contains), "attention.compress_ratios",
            because: "has what is none of \(kinds), the lengths that engines know")
    }

    /// `[T, D] → [T, D]`
    public func mix(_ block: Scope, _ layer: Int, _ x: Value) -> Value {
        let (g, tokens, length) = (block.g, x.shape[0], lengths[layer])
        let rope = length > 0 ? compressedRope : self.rope
        let narrow = block.norm("attn_q_a_norm", block.linear("attn_q_a", x, queryRank), normalization)
        let queries = block.linear("attn_q_b", narrow, heads * headSize).reshaped([tokens, heads, headSize])
            .norm(.rms, normalization.epsilon).rotated(rope)
        let row = block.norm("attn_kv_a_norm", block.linear("attn_kv", x, headSize), normalization)
            .reshaped([tokens, 1, headSize]).rotated(rope)
        let cache = block.state("cache_k", .cache, row: [1, headSize], rotation: g.rotation(rope))
        var keys = block.store(row, cache)
        var mask = g.cacheMask(Mask(causal: true, window: .sliding(window)))
        if length > 0 {
            keys = g.apply(.concatenate(axis: 0), keys, compressed(block, "attn_compressor", x, headSize, length))
            let seen = length == Self.short ? best(block, x, narrow) : g.wholeWindows(of: length)
            mask = g.apply(.concatenate(axis: 1), mask, seen)
        }
        let mixed = block.attention(
            queries, keys, keys, mask, scale: 1 / Double(headSize).squareRoot(), valueSize: headSize,
            sinks: block.weight("attn_sinks.weight", [heads], .sink))
        let turned = unrotated(mixed.reshaped([tokens, heads, headSize]), rope)
        let perGroup = heads / outputGroups * headSize
        let narrowed = g.apply(
            .headMatmul, turned.reshaped([tokens, outputGroups, perGroup]),
            block.weight("attn_output_a.weight", [outputGroups * outputRank, perGroup], .projection)
                .reshaped([outputGroups, outputRank, perGroup]))
        return block.linear("attn_output_b", narrowed.reshaped([tokens, outputGroups * outputRank]), x.shape[1])
    }

    /// Rotated back by the positions of the batch: the rotation of what has every second element negated, negated
    /// again.
    private func unrotated(_ x: Value, _ rope: Rope) -> Value {
        let signs = (0..<headSize).map { $0 >= rope.offset && ($0 - rope.offset) % 2 == 1 ? -1.0 : 1 }
        let flipped = x.builder.applyShared(.constant(signs))
        return (x * flipped).rotated(rope) * flipped
    }

    /// `[C, 1, size]`: for the last cell of each window, the window's entry: a mean of what its positions give, weighed
    /// channel by channel. Where windows overlap, the positions of the window before give something else to it.
    private func compressed(_ block: Scope, _ name: String, _ x: Value, _ size: Int, _ length: Int) -> Value {
        let (g, tokens) = (block.g, x.shape[0])
        let overlaps = length == Self.short
        let width = overlaps ? 2 * size : size
        func kept(_ part: String) -> Value {
            let cache = block.state("cache_\(name)_\(part)", .cache, row: [1, width])
            let rows = block.store(block.linear("\(name)_\(part)", x, width).reshaped([tokens, 1, width]), cache)
            return rows.reshaped([rows.shape[0], width])
        }
        let (values, gates) = (kept("kv"), kept("gate"))
        let places = block.weight("\(name)_ape.weight", [length, width], .positionBias)
        let offsets = g.applyShared(.windowPosition(length: length, .offset), g.cellPositions)
        let weights = (gates + places.rows(offsets))(.exp)

        let own = g.past(.sliding(length))
        let first = overlaps ? size : 0
        func sum(_ what: Value, _ start: Int, _ cells: Value) -> Value {
            g.apply(.pool, what.columns(start, size), cells)
        }
        var (total, weight) = (sum(weights * values, first, own), sum(weights, first, own))
        if overlaps {
            let before = g.past(.sliding(2 * length)) - own
            (total, weight) = (total + sum(weights * values, 0, before), weight + sum(weights, 0, before))
        }
        // Empty cells have no weights at all.
        let entries = block.norm("\(name)_norm", total / (weight + 1e-30), normalization)
        var rope = compressedRope
        rope.offset = size - rope.dimensions
        return g.apply(
            .rope(rope, factors: false), entries.reshaped([entries.shape[0], 1, size]), g.windowStarts(of: length))
    }

    /// `[T, C]`: a mask of the entries that the indexer picks.
    private func best(_ block: Scope, _ x: Value, _ narrow: Value) -> Value {
        let (g, tokens) = (block.g, x.shape[0])
        var rope = compressedRope
        rope.offset = indexerSize - rope.dimensions
        let queries = block.linear("indexer.attn_q_b", narrow, indexerHeads * indexerSize)
            .reshaped([tokens, indexerHeads, indexerSize]).rotated(rope)
        let weights = block.linear(
            "indexer.proj", x, indexerHeads) * (1 / Double(indexerHeads * indexerSize).squareRoot())
        let keys = compressed(block, "indexer_compressor", x, indexerSize, Self.short)
        let scores = g.apply(.indexScores, queries, keys, weights, g.wholeWindows(of: Self.short))
        return g.apply(.topCells(count: indexerCount), scores)
    }
}
