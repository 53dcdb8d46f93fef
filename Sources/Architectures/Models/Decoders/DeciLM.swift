import ModelGraph

/// DeciLM and Llama-Nemotron: Llama whose layers were searched for one by one. Attention has heads of its own, or is
/// one linear map, or is not there; nor need the feed-forward network be.
/// Sources: Bercovich et al. 2024 (Puzzle), section 2; its authors' `modeling_decilm.py`.
public struct DeciLM: Architecture {
    public static let name = "deci"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    /// A layer with query heads but none of keys and values is a linear map.
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    /// Of each layer; 0: it has none.
    let feedForward: [Int]

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h)
        traits = try Traits(decoder: &h)
        normalization = try Normalization(&h, .rms)
        attention = try Self.attention(&h, dimensions)
        rotary = try RotaryEmbedding(
            &h, dimensions, headSize: attention.keySize, pairing: .normal, whole: true,
            scalings: [.linear, .none, .yarn, .longrope])
        let all = Array(repeating: true, count: dimensions.layers)
        feedForward = try h.integers(
            "feed_forward_length", 0...(1 << 20),
            layouts: ([all] + LayerLayouts.mixtures(of: dimensions.layers)).flatMap {
                LayerLayouts.values(Domains.feedForward, where: $0)
            }, layers: dimensions.layers, "hidden units of a feed-forward network; 0: the layer has none")
    }

    private static func attention(
        _ h: inout some Hyperparameters, _ dimensions: Dimensions
    ) throws -> GroupedQueryAttention {
        let (layers, width) = (dimensions.layers, dimensions.embedding)
        let all = Array(repeating: true, count: layers)
        // The first has heads: it says by default how large all are.
        let presences = [all] + LayerLayouts.mixtures(of: layers).filter { $0[0] }
        let heads = try h.integers(
            "attention.head_count", 0...4096,
            layouts: presences.flatMap { kinds in [4, 2, 1, 3, 6, 8].map { count in kinds.map { $0 ? count : 0 } } },
            layers: layers, "query heads; 0: the layer has no attention")
        let most = heads.max() ?? 0
        try h.require(most > 0, "attention.head_count", because: "no layer has heads")
        let divisors = (1...max(1, most)).filter { most % $0 == 0 }.reversed()
        let linear = LayerLayouts.choices(sparing: heads.map { $0 > 0 }).filter { choice in
            zip(heads, choice).contains { $0 > 0 && !$1 }
        }
        let none = Array(repeating: false, count: layers)
        let groups = try h.integers(
            "attention.head_count_kv", 0...4096,
            layouts: ([none] + linear).flatMap { choice in
                LayerLayouts.values(Array(divisors), where: zip(heads, choice).map { $0 > 0 && !$1 })
            }, layers: layers, default: heads, "key/value heads; 0: attention is a linear map")
        for (layer, count) in groups.enumerated() {
            try h.require(
                count == 0 || (heads[layer] > 0 && heads[layer] % count == 0), "attention.head_count",
                "attention.head_count_kv",
                because: "\(heads[layer]) query heads do not divide among \(count) key/value heads (layer \(layer))")
        }
        let first = max(1, heads[0])
        let splits = width % first == 0 && width / first % 2 == 0
        func size(_ key: String, fuzz: [Int], isDefault: Bool = true, _ about: String) throws -> Int {
            splits && isDefault
                ? try h.integer(key, 1...65536, fuzz: fuzz, default: width / first, about)
                : try h.integer(key, 1...65536, fuzz: fuzz, about)
        }
        let keySize = try size("attention.key_length", fuzz: Domains.headSizes, "size of a query or key head")
        // Written again whenever it differs from its own default, since the two keys are read apart.
        let valueSize = try size(
            "attention.value_length", fuzz: [keySize], isDefault: keySize == width / first, "size of a value head")
        try h.require(
            keySize == valueSize && keySize % 2 == 0, "attention.key_length", "attention.value_length",
            because: "key heads of \(keySize) and value heads of \(valueSize): must be alike and even")
        return GroupedQueryAttention(heads: heads, keyValueHeads: groups, keySize: keySize, valueSize: valueSize)
    }

    public func build(_ g: GraphBuilder) {
        let factors = rotary.factors(g)
        let rope = rotary.rope()
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            if attention.heads[layer] > 0 {
                let normed = block.norm("attn_norm", x, normalization)
                if attention.keyValueHeads[layer] == 0 {
                    x = x + block.linear("attn_output", normed, dimensions.embedding)
                } else {
                    let (q, k, v) = attention.project(block, layer, normed)
                    let mixed = block.cachedAttention(
                        q, k, v, scale: attention.scale, mask: traits.mask, rope: rope, factors: factors)
                    x = x + block.linear("attn_output", mixed, dimensions.embedding, bias: .optional)
                }
            }
            if feedForward[layer] > 0 {
                x = x + block.feedForward(
                    block.norm("ffn_norm", x, normalization), size: feedForward[layer], .gated(.swiglu),
                    bias: .optional)
            }
        }
        g.logits(x, dimensions, normalization)
    }
}
