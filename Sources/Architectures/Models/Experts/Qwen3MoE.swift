import ModelGraph

/// Qwen3 with experts: RMS-normed queries and keys, every feed-forward network a mixture of experts.
/// Source: Qwen3 technical report (2025), section 2.
public struct Qwen3MoE: Architecture {
    public static let name = "qwen3moe"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let experts: Experts

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h)
        traits = try Traits(decoder: &h)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox, whole: true)
        let feedForward = try h.integer(
            "feed_forward_length", 0...(1 << 20), fuzz: Domains.feedForward, default: 0, "hidden units of the experts used, together")
        var options = Experts.Options()
        options.sharesSize = true
        options.groups = true
        experts = try Experts(&h, dimensions, options, feedForward: feedForward)
    }

    public func build(_ g: GraphBuilder) {
        let rope = rotary.rope()
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization))
            let mixed = block.cachedAttention(
                block.norm("attn_q_norm", q, normalization), block.norm("attn_k_norm", k, normalization), v,
                scale: attention.scale, mask: traits.mask, rope: rope)
            x = x + block.linear("attn_output", mixed, dimensions.embedding, bias: .rare)
            x = x + block.mixture(block.norm("ffn_norm", x, normalization), experts, .init())
        }
        g.logits(x, dimensions, normalization)
    }
}
