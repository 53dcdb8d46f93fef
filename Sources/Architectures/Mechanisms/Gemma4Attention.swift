import ModelGraph

/// Attention of Gemma 4: layers with a window have heads of another size and number, and another rotation, than those
/// that see everything. Scores are not scaled; queries are normed.
///
/// Files hold the frequency factors of layers without a window, infinite ones where nothing is rotated.
/// Source: `Gemma4ForCausalLM` of transformers, which the authors wrote.
struct Gemma4Attention: Sendable {
    let isWindowed: [Bool]
    let window: Mask.Window
    let heads: Int
    /// Of each layer.
    let keyValueHeads: [Int]
    let headSize: Int
    let windowedHeadSize: Int
    let rotary: RotaryEmbedding
    let windowed: Rope

    /// - Parameter further: positions that a window holds beyond what the metadata says.
    init(_ h: inout some Hyperparameters, _ dimensions: Dimensions, further: Int = 0) throws {
        let layers = dimensions.layers
        // The last layer sees everything, and of several, one that is drawn does not.
        let layouts = (layers == 1 ? 0..<1 : 1..<1 << min(5, layers - 1)).reversed()
            .map { bits in (0..<layers).map { bits >> $0 & 1 == 1 } }
        isWindowed = try h.flags(
            "attention.sliding_window_pattern", layouts: layouts, layers: layers, "the layers with a window")
        window = .sliding(try h.integer(
            "attention.sliding_window", 1...(1 << 30), fuzz: WindowPattern.lengths, "positions that a window holds") + further)

        let (isWindowed, count) = (isWindowed, try h.integer(
            "attention.head_count", 1...4096, fuzz: [4, 2, 1, 3, 6, 8], "query heads"))
        heads = count
        let divisors = (1...count).reversed().filter { count % $0 == 0 }
        keyValueHeads = try h.integers(
            "attention.head_count_kv", 1...4096,
            layouts: divisors.flatMap { full in divisors.map { narrow in isWindowed.map { $0 ? narrow : full } } },
            layers: layers, default: Array(repeating: count, count: layers), "key/value heads")
        for groups in keyValueHeads {
            try h.require(
                count % groups == 0, "attention.head_count", "attention.head_count_kv",
                because: "\(count) query heads do not divide among \(groups) key/value heads")
        }
        func size(_ suffix: String, _ about: String) throws -> Int {
            let size = try h.integer(
                "attention.key_length\(suffix)", 2...65536, fuzz: Domains.headSizes, "size of a head \(about)")
            let values = try h.integer(
                "attention.value_length\(suffix)", 2...65536, fuzz: [size], "size of a value head, the same")
            try h.require(
                size == values && size % 2 == 0, "attention.key_length\(suffix)", "attention.value_length\(suffix)",
                because: "key heads of \(size) and value heads of \(values): must be alike and even")
            return size
        }
        headSize = try size("", "of a layer without a window")
        windowedHeadSize = try size("_swa", "of a layer with a window")
        rotary = try RotaryEmbedding(&h, dimensions, headSize: headSize, pairing: .neox, whole: true)
        windowed = try Self.windowed(&h, headSize: windowedHeadSize, magnitude: rotary.attentionFactor)
    }

    /// What stretches the context does not concern a window, but for the magnitude.
    private static func windowed(_ h: inout some Hyperparameters, headSize: Int, magnitude: Double) throws -> Rope {
        let even = Array(stride(from: 2, through: headSize, by: 2))
        let rotated = try h.integer(
            "rope.dimension_count_swa", 2...65536, fuzz: [headSize, headSize / 2, 2].filter(even.contains),
            "rotated elements of a head of a layer with a window")
        try h.require(
            even.contains(rotated), "rope.dimension_count_swa", "attention.key_length_swa",
            because: "\(rotated) rotated elements of heads of \(headSize)")
        let base = try h.real(
            "rope.freq_base_swa", 1...1e12, fuzz: [10_000, 100, 1_000_000], default: 10_000,
            "base of the rotation frequencies of layers with a window")
        return Rope(pairing: .neox, dimensions: rotated, base: base, magnitude: magnitude)
    }

    func size(of layer: Int) -> Int { isWindowed[layer] ? windowedHeadSize : headSize }

    /// `[T, H, S]`
    func rotated(_ block: Scope, _ layer: Int, _ heads: Value) -> Value {
        heads.rotated(rope(of: layer), factors: factors(block, layer))
    }

    private func rope(of layer: Int) -> Rope { isWindowed[layer] ? windowed : rotary.rope() }
    private func factors(_ block: Scope, _ layer: Int) -> Value? {
        isWindowed[layer] ? nil : block.g.weight("rope_freqs.weight", [headSize / 2], .ropeFactor)
    }

    /// The layer's cache, `[C, G, S]`, with the batch's keys, which have not been rotated, and values.
    func cached(_ block: Scope, _ layer: Int, _ keys: Value, _ values: Value) -> (keys: Value, values: Value) {
        block.cached(
            rotated(block, layer, keys), values,
            rotation: block.g.rotation(rope(of: layer), factors: factors(block, layer)))
    }

    /// What a layer's queries, `[T, H · S]`, find in a cache: `[T, H · S]`.
    func attend(
        _ block: Scope, _ layer: Int, _ queries: Value, _ cache: (keys: Value, values: Value),
        _ normalization: Normalization
    ) -> Value {
        let size = size(of: layer)
        let normed = block.norm("attn_q_norm", queries.reshaped([queries.shape[0], heads, size]), normalization)
        return block.attention(
            rotated(block, layer, normed), cache.keys, cache.values,
            block.g.cacheMask(Mask(causal: true, window: isWindowed[layer] ? window : .unlimited)), scale: 1,
            valueSize: size)
    }
}
