import ModelGraph

/// OpenELM: each layer has its own number of heads and of hidden units; normed queries and keys, SwiGLU.
/// Source: Mehta et al. 2024, section 2.1.
public struct OpenELM: Architecture {
    public static let name = "openelm"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    /// Hidden units of each layer's feed-forward network.
    let feedForward: [Int]

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h)
        traits = try Traits(decoder: &h)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(ofLayers: &h, dimensions)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox)
        feedForward = try h.integers(
            "feed_forward_length", 1...(1 << 20), fuzz: Domains.feedForward, layers: dimensions.blocks,
            "hidden units of a feed-forward network")
    }

    public func build(_ g: GraphBuilder) {
        let rope = rotary.rope()
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let (q, k, v) = attention.project(
                block, layer, block.norm("attn_norm", x, normalization), fused: .always, bias: .none)
            let mixed = block.cachedAttention(
                block.norm("attn_q_norm", q, normalization), block.norm("attn_k_norm", k, normalization), v,
                scale: attention.scale, mask: traits.mask, rope: rope)
            x = x + block.linear("attn_output", mixed, dimensions.embedding)
            x = x + block.feedForward(
                block.norm("ffn_norm", x, normalization), size: feedForward[layer], .gated(.swiglu))
        }
        g.logits(x, dimensions, normalization, tying: .always)
    }
}
