import Foundation
import ModelGraph

/// Multi-head attention in which groups of query heads share a key/value head.
///
/// Source: Ainslie et al. 2023 (GQA). A layer with no key/value head is of another kind.
public struct GroupedQueryAttention: Hashable, Sendable {
    /// Query heads of each layer.
    public let heads: [Int]
    /// Key/value heads of each layer; 0 where the layer is no attention layer.
    public let keyValueHeads: [Int]
    /// Size of a query or key head, and of a value head.
    public let keySize: Int
    public let valueSize: Int

    /// How head sizes relate to the model's width.
    public enum HeadSize: Sendable {
        /// `attention.key_length` and `attention.value_length`, by default the width over the heads.
        case declared
        /// The same, but keys and values alike.
        case declaredAlike
        /// The same, but few models have other sizes than the width over the heads.
        case declaredRarely
        /// Always the width over the heads.
        case splitEmbedding
    }

    /// Whether query heads share key/value heads; `rarely`: no released model's do.
    public enum Grouping: Sendable { case never, rarely, freely }

    /// - Parameters:
    ///   - evenHeads: head sizes must be even, for RoPE.
    ///   - otherLayers: a layer may have no key/value head, and is then of another kind. Layers of both kinds are
    ///     drawn.
    ///   - headMultiple: what head sizes must be multiples of, where that is not 2 or 1.
    ///   - headsOfLayers: whether files say of such a layer that it has no query head either.
    ///   - perLayer: whether the counts of key/value heads may differ between layers.
    ///   - isListed: whether files may list the count for each layer though all have one.
    ///   - queriesPerLayer: whether those of query heads may, too.
    ///   - grouping: whether query heads may share key/value heads.
    public init(
        _ h: inout some Hyperparameters, _ dimensions: Dimensions, headSize: HeadSize = .declaredAlike,
        evenHeads: Bool = true, headMultiple: Int? = nil, otherLayers: Bool = false, headsOfLayers: Bool = false,
        perLayer: Bool = false, isListed: Bool = false, queriesPerLayer: Bool = false, grouping: Grouping = .freely
    ) throws {
        let width = dimensions.embedding
        let multiple = headMultiple ?? (evenHeads ? 2 : 1)
        let splits = { (heads: Int) in width % heads == 0 && width / heads % multiple == 0 }
        let counts = Domains.divisors(of: width).filter(splits)
        let headCounts = headSize == .splitEmbedding || headSize == .declaredRarely ? counts : [4, 2, 1, 3, 5, 6, 7, 8]
        let (headKey, fuzzedHeads) = ("attention.head_count", headCounts.isEmpty ? [1] : headCounts)
        let queryHeads = if headsOfLayers {
            try h.integers(
                headKey, 0...4096,
                layouts: LayerLayouts.mixtures(of: dimensions.layers).flatMap { layers in
                    fuzzedHeads.map { count in layers.map { $0 ? count : 0 } }
                },
                layers: dimensions.blocks, default: [], "query heads; 0: the layer is no attention layer")
        } else if queriesPerLayer {
            try h.integers(headKey, 1...4096, fuzz: fuzzedHeads, layers: dimensions.blocks, "query heads")
        } else {
            Array(
                repeating: try h.integer(headKey, 1...4096, fuzz: fuzzedHeads, "query heads"), count: dimensions.blocks)
        }
        try h.require(queryHeads.count == dimensions.blocks, headKey, because: "is missing")
        let heads = max(1, queryHeads.max() ?? 1)
        self.heads = queryHeads

        let divisors: [Int] = grouping == .never
            ? [heads] : (1...heads).filter { divisor in queryHeads.allSatisfy { $0 % divisor == 0 } }.reversed()
        let key = "attention.head_count_kv"
        if otherLayers {
            let predicting = Array(repeating: divisors[0], count: dimensions.predictionBlocks)
            let kinds = headsOfLayers
                ? [queryHeads.map { $0 > 0 }] : LayerLayouts.mixtures(of: dimensions.layers)
            let layouts = kinds.flatMap { LayerLayouts.values(divisors, where: $0) }
            keyValueHeads = try h.integers(
                key, 0...4096, layouts: layouts.map { $0 + predicting }, layers: dimensions.blocks, default: self.heads,
                "key/value heads; 0: the layer is no attention layer")
        } else if perLayer {
            keyValueHeads = try h.integers(
                key, 1...4096, fuzz: divisors, layers: dimensions.blocks, default: self.heads, "key/value heads")
        } else if isListed {
            keyValueHeads = try h.integers(
                key, 1...4096, layouts: divisors.map { Array(repeating: $0, count: dimensions.blocks) },
                layers: dimensions.blocks, default: self.heads, "key/value heads")
        } else {
            let count = try h.integer(
                key, 1...4096, fuzz: divisors, default: heads, isRare: grouping == .rarely, "key/value heads")
            keyValueHeads = Array(repeating: count, count: dimensions.blocks)
        }
        try h.require(
            grouping != .never || keyValueHeads.allSatisfy { $0 == heads }, "attention.head_count_kv",
            "attention.head_count",
            because: "this architecture has a key/value head for each query head")
        for (layer, groups) in keyValueHeads.enumerated() where groups > 0 {
            try h.require(
                queryHeads[layer] > 0 && queryHeads[layer] % groups == 0, "attention.head_count",
                "attention.head_count_kv",
                because: "\(queryHeads[layer]) query heads do not divide among \(groups) key/value heads "
                    + "(layer \(layer))")
        }

        // The default stands only where the heads divide the width.
        let sizes = (Domains.headSizes + [3, 33, 65]).filter { $0 % multiple == 0 }
        func size(_ key: String, _ about: String) throws -> Int {
            splits(heads)
                ? try h.integer(
                    key, 1...65536, fuzz: sizes, default: width / heads, isRare: headSize == .declaredRarely, about)
                : try h.integer(key, 1...65536, fuzz: sizes, about)
        }
        switch headSize {
        case .splitEmbedding:
            try h.require(
                width % heads == 0, "embedding_length", "attention.head_count",
                because: "a width of \(width) does not divide among \(heads) heads")
            let size = width / heads
            keySize = try h.integer(
                "attention.key_length", size...size, fuzz: [size], default: size, "size of a query or key head")
            valueSize = try h.integer(
                "attention.value_length", size...size, fuzz: [size], default: size, "size of a value head")
        case .declared:
            keySize = try size("attention.key_length", "size of a query or key head")
            valueSize = try size("attention.value_length", "size of a value head")
        case .declaredAlike, .declaredRarely:
            keySize = try size("attention.key_length", "size of a query or key head")
            // Written again whenever it differs from its own default, since the two keys are read apart.
            valueSize = splits(heads) && keySize == width / heads
                ? try h.integer(
                    "attention.value_length", 1...65536, fuzz: [keySize], default: width / heads,
                    "size of a value head")
                : try h.integer("attention.value_length", 1...65536, fuzz: [keySize], "size of a value head")
            try h.require(
                keySize == valueSize, "attention.key_length", "attention.value_length",
                because: "key heads of \(keySize) and value heads of \(valueSize): this architecture needs them alike")
        }
        try h.require(
            keySize % multiple == 0, "attention.key_length",
            because: "heads of \(keySize) cannot be rotated: must be "
                + (multiple == 2 ? "even" : "a multiple of \(multiple)"))
    }

    /// Of a model each layer of which has its own number of heads, all of one size.
    public init(ofLayers h: inout some Hyperparameters, _ dimensions: Dimensions) throws {
        let counts = try h.integers(
            "attention.head_count", 1...4096, fuzz: [4, 2, 1, 3, 5, 6, 8], layers: dimensions.blocks, "query heads")
        let divisors = counts.map { heads in Array((1...heads).filter { heads % $0 == 0 }.reversed()) }
        let alike = (0..<4).map { choice in divisors.map { $0[min(choice, $0.count - 1)] } }
        let varied = divisors.enumerated().map { layer, divisors in divisors[layer % divisors.count] }
        let groups = try h.integers(
            "attention.head_count_kv", 1...4096, layouts: alike + [varied], layers: dimensions.blocks, default: counts,
            "key/value heads")
        for layer in 0..<dimensions.blocks {
            try h.require(
                counts[layer] % groups[layer] == 0, "attention.head_count", "attention.head_count_kv",
                because: "\(counts[layer]) query heads do not divide among \(groups[layer]) key/value heads "
                    + "(layer \(layer))")
        }
        let size = try h.integer(
            "attention.key_length", 1...65536, fuzz: Domains.headSizes, "size of a query or key head")
        try h.require(
            size % 2 == 0, "attention.key_length", because: "heads of \(size) cannot be rotated: must be even")
        (heads, keyValueHeads, keySize) = (counts, groups, size)
        valueSize = try h.integer("attention.value_length", size...size, fuzz: [size], "size of a value head")
    }

    /// Of an architecture that declares its heads itself.
    public init(heads: [Int], keyValueHeads: [Int], keySize: Int, valueSize: Int) {
        self.heads = heads
        self.keyValueHeads = keyValueHeads
        self.keySize = keySize
        self.valueSize = valueSize
    }

    /// `1/√keySize`
    public var scale: Double { 1 / Double(keySize).squareRoot() }

    public enum Fusion: Sendable { case never, optional, always }

    /// Queries `[T, H, Dk]`, keys `[T, G, Dk]` and values `[T, G, Dv]` of a layer, from one fused
    /// matrix or from three.
    ///
    /// - Parameter gated: each query head is followed by a gate of its size: `[T, H, 2 Dk]`.
    public func project(
        _ block: Scope, _ layer: Int, _ x: Value, fused: Fusion = .optional, bias: Scope.Bias = .optional,
        gated: Bool = false
    ) -> (queries: Value, keys: Value, values: Value) {
        let tokens = x.shape[0]
        let (heads, groups) = (heads[layer], keyValueHeads[layer])
        let querySize = gated ? 2 * keySize : keySize
        let (q, k, v) = (heads * querySize, groups * keySize, groups * valueSize)
        let flat: (Value, Value, Value)
        let shape: Shape = [q + k + v, x.shape.last]
        let weight: Value? = switch fused {
        case .never: nil
        case .optional: block.optionalWeight("attn_qkv.weight", shape, .projection)
        case .always: block.weight("attn_qkv.weight", shape, .projection)
        }
        if let weight {
            var qkv = x.matmul(weight)
            if let bias = block.bias("attn_qkv", [q + k + v], bias) {
                qkv = qkv + bias
            } else if fused == .optional, bias == .optional, ["q", "k", "v"].allSatisfy(
                { block.has("attn_\($0).bias") }) {
                // Some files fuse the matrices, but not their biases.
                let biases = [("q", q), ("k", k), ("v", v)].map { block.weight("attn_\($0).bias", [$1], .bias) }
                qkv = qkv + block.g.apply(.concatenate(axis: 0), biases)
            }
            flat = (qkv.columns(0, q), qkv.columns(q, k), qkv.columns(q + k, v))
        } else {
            flat = (
                block.linear("attn_q", x, q, bias: bias), block.linear("attn_k", x, k, bias: bias),
                block.linear("attn_v", x, v, bias: bias)
            )
        }
        return (
            flat.0.reshaped([tokens, heads, querySize]), flat.1.reshaped([tokens, groups, keySize]),
            flat.2.reshaped([tokens, groups, valueSize])
        )
    }
}

extension Scope {
    /// Attention over the cache of this block, to which the batch's keys and values are added first.
    ///
    /// - Parameters:
    ///   - rope: rotates queries and keys by their positions; the cache remembers it, so that a session can
    ///     shift its keys.
    ///   - factors: of the rotation's frequencies.
    ///   - rotation: how `keys` are rotated already, where more follows the rotation.
    ///   - bias: `[H, T, C]`, added to the scores.
    ///   - sinks: `[H]`.
    /// - Returns: `[T, H · Dv]`.
    public func cachedAttention(
        _ queries: Value, _ keys: Value, _ values: Value, scale: Double, mask: Mask = Mask(causal: true),
        rope: Rope? = nil, factors: Value? = nil, rotation: State.Rotation? = nil, softcap: Double? = nil,
        bias: Value? = nil, sinks: Value? = nil
    ) -> Value {
        if let rope {
            return cachedAttention(
                queries.rotated(rope, factors: factors), keys.rotated(rope, factors: factors), values, scale: scale,
                mask: mask, rotation: g.rotation(rope, factors: factors), softcap: softcap, bias: bias, sinks: sinks)
        }
        let (k, v) = cached(keys, values, rotation: rotation)
        return attention(
            queries, k, v, g.cacheMask(mask), scale: scale, valueSize: values.shape[2],
            softcap: softcap, bias: bias, sinks: sinks)
    }

    /// The same of queries and keys that are rotated and then normed, by `attn_q_norm` and `attn_k_norm`.
    ///
    /// A norm without its scale leaves a rotation as it is. Keys are cached like this, so that they can be turned on
    /// when positions shift, and scaled afterwards: a rotation mixes elements of different scales.
    public func cachedAttention(
        normedAfterRotation queries: Value, _ keys: Value, _ values: Value, _ normalization: Normalization,
        scale: Double, mask: Mask, rope: Rope, factors: Value? = nil
    ) -> Value {
        let turned = keys.rotated(rope, factors: factors).norm(normalization.kind, normalization.epsilon)
        let (k, v) = cached(turned, values, rotation: g.rotation(rope, factors: factors))
        return attention(
            norm("attn_q_norm", queries.rotated(rope, factors: factors), normalization),
            k * weight("attn_k_norm.weight", [keys.shape[2]], .scale), v, g.cacheMask(mask), scale: scale,
            valueSize: values.shape[2])
    }

    /// The keys and values of this block's cache, `[C, G, …]`, to which the batch's are added first.
    public func cached(
        _ keys: Value, _ values: Value, rotation: State.Rotation? = nil
    ) -> (keys: Value, values: Value) {
        let k = state("cache_k", .cache, row: [keys.shape[1], keys.shape[2]], rotation: rotation)
        let v = state("cache_v", .cache, row: [values.shape[1], values.shape[2]], holdsValues: true)
        return (store(keys, k), store(values, v))
    }

    /// Attention among the tokens of the batch, which sees nothing else.
    public func batchAttention(
        _ queries: Value, _ keys: Value, _ values: Value, scale: Double, mask: Mask = Mask(causal: false),
        bias: Value? = nil
    ) -> Value {
        attention(queries, keys, values, g.batchMask(mask), scale: scale, valueSize: values.shape[2], bias: bias)
    }

    /// Writes the batch's rows to a cache: `[C, …]`, its first cells afterwards.
    public func store(_ rows: Value, _ cache: StateID) -> Value {
        g.apply(.store(cache, cells: g.batch.cells), rows, g.cells)
    }

    /// `[T, H · Dv]`
    public func attention(
        _ queries: Value, _ keys: Value, _ values: Value, _ mask: Value, scale: Double, valueSize: Int,
        softcap: Double? = nil, bias: Value? = nil, sinks: Value? = nil
    ) -> Value {
        let attributes = Attention(
            scale: scale, softcap: softcap, valueSize: valueSize, bias: bias != nil, sinks: sinks != nil)
        return g.apply(.attention(attributes), [queries, keys, values, mask] + [bias, sinks].compactMap { $0 })
            .reshaped([queries.shape[0], queries.shape[1] * valueSize])
    }
}

extension GraphBuilder {
    /// `[T, C]`: which cells of the caches each token sees.
    public func cacheMask(_ mask: Mask) -> Value {
        applyShared(.mask(mask), positions, sequences, cellPositions, cellSequences)
    }
    /// `[H, T, C]`: linear biases of the scores by distance (ALiBi).
    public func alibi(heads: Int, maxBias: Double) -> Value {
        applyShared(.alibi(heads: heads, maxBias: maxBias), positions, cellPositions)
    }
    /// `[T, X]`: which tokens of the encoder each token sees: all of its own sequences.
    public var encoderMask: Value {
        let shape: Shape = [batch.encoderTokens]
        return applyShared(
            .mask(Mask(causal: false)), positions, sequences, input(.encoderPositions, shape),
            input(.encoderSequences, shape))
    }
    /// `[H, T, T]`: the same between the tokens of the batch.
    public func batchAlibi(heads: Int, maxBias: Double) -> Value {
        applyShared(.alibi(heads: heads, maxBias: maxBias), positions, positions)
    }
    /// `[T, T]`: which tokens of the batch each token sees.
    public func batchMask(_ mask: Mask) -> Value {
        applyShared(.mask(mask), positions, sequences, positions, sequences)
    }
}
