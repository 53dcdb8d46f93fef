import ModelGraph

/// Multi-head latent attention: the keys and values of all heads are made from one narrow latent vector a
/// token, joined by positional elements that all heads share.
///
/// Source: DeepSeek-V2 (2024), section 2.1. Its two forms give the same result: *absorbed*, the key matrix
/// is applied to the queries and the value matrix to the attention's result, so that the cache holds the
/// latent vector alone; *expanded*, keys and values of each head are made first and cached.
public struct MultiHeadLatentAttention: Hashable, Sendable {
    public let heads: Int
    /// Width of the compressed query; 0: queries are not compressed.
    public let queryRank: Int
    /// Width of the latent vector.
    public let latentSize: Int
    /// Elements of each query and key that hold the position, shared by the heads' keys.
    public let positional: Int
    /// Size of a query or key head, the positional elements included, and of a value head.
    public let keySize: Int
    public let valueSize: Int

    public init(heads: Int, queryRank: Int, latentSize: Int, positional: Int, keySize: Int, valueSize: Int) {
        self.heads = heads
        self.queryRank = queryRank
        self.latentSize = latentSize
        self.positional = positional
        self.keySize = keySize
        self.valueSize = valueSize
    }

    /// Elements of each query and key that hold no position.
    public var contentSize: Int { keySize - positional }
    /// Columns of a cache row in the absorbed form: the latent vector, then the positional elements.
    public var cacheRow: Int { latentSize + positional }

    /// Of the norms of compressed queries and latent vectors, whatever the model's other norms have.
    /// Source: `q_a_layernorm` and `kv_a_layernorm` in the code of DeepSeek-V2, DeepSeek-V3 and Kimi Linear.
    static let normalization = Normalization(.rms, epsilon: 1e-6)

    public static let latentSizes = [32, 16, 64, 8, 33, 48]
    public static let queryRanks = [0, 32, 16, 64, 33]
    public static let positionalSizes = [8, 16, 2, 4, 6, 32]
    public static let contentSizes = [16, 8, 32, 1, 3, 24, 33]
    public static let valueSizes = [16, 32, 8, 2, 24, 33, 64]

    /// `[T, D] → [T, H · Dv]`: attention over the block's cache, before the output projection.
    ///
    /// - Parameters:
    ///   - isAbsorbed: whether the model holds `attn_k_b` and `attn_v_b`, or both in one `attn_kv_b`.
    ///   - mask: what a token sees of its own sequence.
    ///   - rotary: rotates the positional elements; nil: they carry no position.
    ///   - temperature: `[T, 1, 1]`, multiplies the queries.
    public func attend(
        _ block: Scope, _ x: Value, isAbsorbed: Bool, scale: Double, mask: Mask = Mask(causal: true),
        rotary: (RotaryEmbedding, magnitude: Double?)? = nil, temperature: Value? = nil
    ) -> Value {
        let g = block.g
        let tokens = x.shape[0]
        let rope = { (offset: Int) in rotary.map { $0.0.rope(offset: offset, magnitude: $0.magnitude) } }
        func rotated(_ value: Value, offset: Int) -> Value { rope(offset).map { value.rotated($0) } ?? value }

        let compressed = queryRank > 0
            ? block.norm("attn_q_a_norm", block.linear("attn_q_a", x, queryRank, bias: .rare), Self.normalization) : x
        let queries = rotated(
            block.linear(queryRank > 0 ? "attn_q_b" : "attn_q", compressed, heads * keySize)
                .reshaped([tokens, heads, keySize]),
            offset: contentSize)
        let both = block.linear("attn_kv_a_mqa", x, cacheRow, bias: .rare)
        let latent = block.norm("attn_kv_a_norm", both.columns(0, latentSize), Self.normalization)
        let position = rotated(both.columns(latentSize, positional).reshaped([tokens, 1, positional]), offset: 0)

        func tempered(_ queries: Value) -> Value { temperature.map { queries * $0 } ?? queries }

        if isAbsorbed {
            let keyMatrix = block.weight("attn_k_b.weight", [heads, latentSize, contentSize], .projection)
            let valueMatrix = block.weight("attn_v_b.weight", [heads, valueSize, latentSize], .projection)
            let absorbed = g.apply(.headMatmul, queries.columns(0, contentSize), keyMatrix)
                .joined(queries.columns(contentSize, positional))
            let cache = block.state(
                "cache_k", .cache, row: [1, cacheRow], rotation: rope(latentSize).map { g.rotation($0) })
            let rows = block.store(latent.reshaped([tokens, 1, latentSize]).joined(position), cache)
            let mixed = block.attention(
                tempered(absorbed), rows, rows, g.cacheMask(mask), scale: scale, valueSize: latentSize)
            return g.apply(.headMatmul, mixed.reshaped([tokens, heads, latentSize]), valueMatrix)
                .reshaped([tokens, heads * valueSize])
        }
        let expanded = block.linear("attn_kv_b", latent, heads * (contentSize + valueSize))
            .reshaped([tokens, heads, contentSize + valueSize])
        let keys = expanded.columns(0, contentSize).joined(position.broadcast([tokens, heads, positional]))
        return block.cachedAttention(
            tempered(queries), keys, expanded.columns(contentSize, valueSize), scale: scale, mask: mask,
            rotation: rope(contentSize).map { g.rotation($0) })
    }
}
