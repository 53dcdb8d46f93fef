import ModelGraph

/// Hunyuan-A13B: queries and keys normed after they are rotated, every feed-forward network experts beside a shared
/// one. Sources: Tencent 2025 (Hunyuan-A13B); `HunYuanMoEV1ForCausalLM` of transformers.
public struct HunyuanMoE: Architecture {
    public static let name = "hunyuan-moe"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let experts: Experts
    let shared: SharedExperts

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h)
        traits = try Traits(decoder: &h)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox, whole: true)
        let size = try h.feedForwardLength("hidden units of an expert")
        var options = Experts.Options()
        options.declaresSize = false
        experts = try Experts(&h, dimensions, options, feedForward: size)
        _ = try h.integer("expert_feed_forward_length", size...size, fuzz: [size], "the same")
        shared = try SharedExperts(&h, beside: experts, .size(default: size))
    }

    public func build(_ g: GraphBuilder) {
        let rope = rotary.rope()
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization))
            let mixed = block.cachedAttention(
                normedAfterRotation: q, k, v, normalization, scale: attention.scale, mask: traits.mask, rope: rope)
            x = x + block.linear("attn_output", mixed, dimensions.embedding, bias: .rare)
            x = x + block.mixture(block.norm("ffn_norm", x, normalization), experts, .init(), beside: shared)
        }
        g.logits(x, dimensions, normalization)
    }
}
