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
    /// Elements of each query and key that hold the position, shared by the heads' keys; 0: there are none.
    public let positional: Int
    /// Size of a query or key head, the positional elements included, and of a value head.
    public let keySize: Int
    public let valueSize: Int
    /// Whether the model holds `attn_k_b` and `attn_v_b`, or both in one `attn_kv_b`.
    public let isAbsorbed: Bool

    /// What files hold; `either` is told by `attention.key_length_mla`.
    public enum Form: Sendable { case absorbed, expanded, either }
    /// Whether queries are made from a compressed vector.
    public enum Compression: Sendable { case never, optional, always }

    /// What becomes of the elements that the heads' keys share: they are rotated, hold no position all the same, or
    /// there are none.
    public enum Sharing: Sendable { case rotated, unrotated, none }

    /// - Parameters:
    ///   - isEverywhere: whether all layers are of this kind; else the architecture says itself which layers have a
    ///     cache.
    ///   - defaultValueSize: of expanded attention, where no key says it; nil: one must.
    public init(
        _ h: inout some Hyperparameters, heads: Int, form: Form, compression: Compression, sharing: Sharing = .rotated,
        isEverywhere: Bool = true, defaultValueSize: Int? = nil
    ) throws {
        let sizes = 1...65536
        self.heads = heads
        let (key, about) = ("rope.dimension_count", "elements of each key that all heads share")
        let positional = switch sharing {
        case .rotated:
            try h.integer(key, 2...65536, fuzz: Self.positionalSizes, "elements of each head that hold the position")
        case .unrotated: try h.integer(key, sizes, fuzz: Self.positionalSizes, about)
        case .none: try h.integer(key, 0...0, fuzz: [0], "\(about): none")
        }
        self.positional = positional
        try h.require(
            sharing != .rotated || positional % 2 == 0, "rope.dimension_count",
            because: "\(positional) elements cannot be rotated: must be even")
        latentSize = try h.integer(
            "attention.kv_lora_rank", sizes, fuzz: Self.latentSizes, "width of the latent vector")
        queryRank = switch compression {
        case .never: 0
        case .optional:
            try h.integer(
                "attention.q_lora_rank", 0...65536, fuzz: Self.queryRanks, default: 0, drawsAbsence: false,
                "width of the compressed query; 0: not compressed")
        case .always:
            try h.integer(
                "attention.q_lora_rank", sizes, fuzz: Self.queryRanks.filter { $0 > 0 },
                "width of the compressed query")
        }

        let keySizes = Self.contentSizes.map { $0 + positional }
        let (aboutKey, aboutValue) =
            ("size of a key head of absorbed attention", "size of a value head of absorbed attention")
        let absorbedKey = switch form {
        case .absorbed: try h.integer("attention.key_length_mla", sizes, fuzz: keySizes, aboutKey)
        case .either: try h.integer("attention.key_length_mla", 0...65536, fuzz: keySizes, default: 0, aboutKey)
        case .expanded: 0
        }
        isAbsorbed = absorbedKey > 0
        let absorbedValue = if isAbsorbed {
            try h.integer("attention.value_length_mla", sizes, fuzz: Self.valueSizes, aboutValue)
        } else if form == .either {
            try h.integer("attention.value_length_mla", 0...0, fuzz: [0], default: 0, "0: attention is not absorbed")
        } else {
            0
        }
        if isEverywhere {
            let groups = isAbsorbed
                ? try h.integer("attention.head_count_kv", 1...4096, fuzz: [1], "heads of the cache")
                : try h.integer("attention.head_count_kv", 1...4096, fuzz: [heads], default: heads, "key/value heads")
            try h.require(
                groups == (isAbsorbed ? 1 : heads), "attention.head_count_kv", "attention.head_count",
                "attention.key_length_mla",
                because: isAbsorbed
                    ? "absorbed attention caches one head" : "expanded attention has as many keys as queries")
        }

        let (row, latent) = (latentSize + positional, latentSize)
        if isAbsorbed {
            let cached = try h.integer("attention.key_length", sizes, fuzz: [row], "size of a cached key")
            try h.require(
                cached == row, "attention.key_length", "attention.kv_lora_rank", "rope.dimension_count",
                because: "the cache of latent attention has rows of \(row)")
            // Engines cache no values, and files of Kimi Linear have the model's width over its heads here.
            _ = try h.integer(
                "attention.value_length", sizes, fuzz: [latent], default: latent, drawsAbsence: false,
                "not used: the values are part of the cached keys")
            (keySize, valueSize) = (absorbedKey, absorbedValue)
        } else {
            // The positional elements are rotated in place: engines want them at an even offset.
            keySize = try h.integer(
                "attention.key_length", sizes, fuzz: keySizes.filter { ($0 - positional) % 2 == 0 },
                "size of a cached key")
            let about = "size of a cached value"
            valueSize = if let defaultValueSize {
                try h.integer("attention.value_length", sizes, fuzz: Self.valueSizes, default: defaultValueSize, about)
            } else {
                try h.integer("attention.value_length", sizes, fuzz: Self.valueSizes, about)
            }
        }
        try h.require(
            keySize > positional, isAbsorbed ? "attention.key_length_mla" : "attention.key_length",
            "rope.dimension_count",
            because: "\(positional) positional elements leave nothing of key heads of \(keySize)")
    }

    /// Of a model whose keys have other names.
    public init(
        heads: Int, queryRank: Int, latentSize: Int, positional: Int, keySize: Int, valueSize: Int, isAbsorbed: Bool
    ) {
        self.heads = heads
        self.queryRank = queryRank
        self.latentSize = latentSize
        self.positional = positional
        self.keySize = keySize
        self.valueSize = valueSize
        self.isAbsorbed = isAbsorbed
    }

    /// `attention.head_count`, where it is one number.
    public static func heads(_ h: inout some Hyperparameters) throws -> Int {
        try h.integer("attention.head_count", 1...4096, fuzz: [4, 2, 1, 3, 5, 8], "query heads")
    }

    /// Elements of each query and key that hold no position.
    public var contentSize: Int { keySize - positional }
    /// Columns of a cache row in the absorbed form: the latent vector, then the positional elements.
    public var cacheRow: Int { latentSize + positional }
    /// `1/√keySize`
    public var scale: Double { 1 / Double(keySize).squareRoot() }

    /// Of the norms of compressed queries and latent vectors, whatever the model's other norms have.
    /// Source: `q_a_layernorm` and `kv_a_layernorm` in the authors' code of DeepSeek-V2, -V3 and -V3.2, MiniCPM3, Kimi
    /// Linear, Mistral 4, GLM-5 and Hy4.
    static let normalization = Normalization(.rms, epsilon: 1e-6)

    public static let latentSizes = [32, 16, 64, 8, 33, 48]
    public static let queryRanks = [0, 32, 16, 64, 33]
    public static let positionalSizes = [8, 16, 2, 4, 6, 32]
    public static let contentSizes = [16, 8, 32, 1, 3, 24, 33]
    public static let valueSizes = [16, 32, 8, 2, 24, 33, 64]

    /// What an architecture's attention has besides the common parts.
    public struct Options {
        /// Of the norms of compressed queries and latent vectors.
        public var normalization = MultiHeadLatentAttention.normalization
        /// Of the maps to compressed queries and latent vectors.
        public var bias: Scope.Bias = .none
        /// Rotates the positional elements; nil: they carry no position.
        public var rope: ((_ offset: Int) -> Rope)?
        /// Of the rotation's frequencies.
        public var factors: Value?
        /// `attn_k_norm`, of the positional elements before they are rotated.
        public var positionNormalization: Normalization?
        /// `[T, 1, 1]`, multiplies the queries.
        public var temperature: Value?
        /// `[H]`
        public var sinks: Value?
        public init() {}
    }

    /// `[T, D] → [T, H · Dv]`: attention over the block's cache, before the output projection.
    ///
    /// - Parameters:
    ///   - mask: what a token sees of its own sequence.
    ///   - select: the cells that each token attends to, `[T, C]`, of those that it sees: given the compressed queries,
    ///     or the input where they are not compressed, and the mask.
    public func attend(
        _ block: Scope, _ x: Value, scale: Double, mask: Mask = Mask(causal: true), _ options: Options = Options(),
        select: (_ compressed: Value, _ mask: Value) -> Value = { $1 }
    ) -> Value {
        let g = block.g
        let tokens = x.shape[0]
        func rotated(_ value: Value, offset: Int) -> Value {
            options.rope.map { value.rotated($0(offset), factors: options.factors) } ?? value
        }
        func rotation(offset: Int) -> State.Rotation? {
            options.rope.map { g.rotation($0(offset), factors: options.factors) }
        }

        let compressed = queryRank > 0
            ? block.norm(
                "attn_q_a_norm", block.linear("attn_q_a", x, queryRank, bias: options.bias), options.normalization)
            : x
        let queries = rotated(
            block.linear(queryRank > 0 ? "attn_q_b" : "attn_q", compressed, heads * keySize)
                .reshaped([tokens, heads, keySize]),
            offset: contentSize)
        let both = block.linear("attn_kv_a_mqa", x, cacheRow, bias: options.bias)
        let latent = block.norm("attn_kv_a_norm", both.columns(0, latentSize), options.normalization)
        var position: Value?
        if positional > 0 {
            let shared = both.columns(latentSize, positional).reshaped([tokens, 1, positional])
            position = rotated(
                options.positionNormalization.map { block.norm("attn_k_norm", shared, $0) } ?? shared, offset: 0)
        }
        func joined(_ content: Value, _ position: Value?) -> Value { position.map { content.joined($0) } ?? content }

        func tempered(_ queries: Value) -> Value { options.temperature.map { queries * $0 } ?? queries }
        let visible = select(compressed, g.cacheMask(mask))

        if isAbsorbed {
            let keyMatrix = block.weight("attn_k_b.weight", [heads, latentSize, contentSize], .projection)
            let valueMatrix = block.weight("attn_v_b.weight", [heads, valueSize, latentSize], .projection)
            let absorbed = joined(
                g.apply(.headMatmul, queries.columns(0, contentSize), keyMatrix),
                position.map { _ in queries.columns(contentSize, positional) })
            let cache = block.state("cache_k", .cache, row: [1, cacheRow], rotation: rotation(offset: latentSize))
            let rows = block.store(joined(latent.reshaped([tokens, 1, latentSize]), position), cache)
            let mixed = block.attention(
                tempered(absorbed), rows, rows, visible, scale: scale, valueSize: latentSize, sinks: options.sinks)
            return g.apply(.headMatmul, mixed.reshaped([tokens, heads, latentSize]), valueMatrix)
                .reshaped([tokens, heads * valueSize])
        }
        let expanded = block.linear("attn_kv_b", latent, heads * (contentSize + valueSize))
            .reshaped([tokens, heads, contentSize + valueSize])
        let keys = joined(expanded.columns(0, contentSize), position?.broadcast([tokens, heads, positional]))
        let k = block.state("cache_k", .cache, row: [heads, keySize], rotation: rotation(offset: contentSize))
        let v = block.state("cache_v", .cache, row: [heads, valueSize], holdsValues: true)
        return block.attention(
            tempered(queries), block.store(keys, k), block.store(expanded.columns(contentSize, valueSize), v), visible,
            scale: scale, valueSize: valueSize, sinks: options.sinks)
    }
}

extension Scope {
    /// What attention makes, `[T, H · Dv]`, times the sigmoid of a map of its input: of each element, or one a head.
    ///
    /// Source: Qiu et al. 2025 (Gated Attention for Large Language Models), section 2.
    public func outputGated(_ mixed: Value, by x: Value, heads: Int? = nil) -> Value {
        let width = mixed.shape.last
        let gate = linear("attn_gate", x, heads ?? width)(.sigmoid)
        guard let heads else { return mixed * gate }
        let headed: Shape = [mixed.shape[0], heads, width / heads]
        return (mixed.reshaped(headed) * gate.reshaped([mixed.shape[0], heads, 1])).reshaped(mixed.shape)
    }
}
