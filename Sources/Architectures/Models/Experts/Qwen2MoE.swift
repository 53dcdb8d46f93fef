import ModelGraph

/// Qwen2 with experts beside a gated shared one. Weights of experts are not divided by their sum: so it is in Qwen's own
/// models (`norm_topk_prob` false), and the format has no key for others.
/// Sources: Qwen2 technical report (2024), section 2.2.2; `Qwen2MoeForCausalLM` of transformers.
public struct Qwen2MoE: Architecture {
    public static let name = "qwen2moe"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let experts: Experts
    let shared: SharedExperts

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, embeddings: Domains.evenSizes)
        traits = try Traits(decoder: &h)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions, headSize: .splitEmbedding)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox, whole: true)
        let feedForward = try h.feedForwardLength("hidden units from which absent sizes follow")
        var options = Experts.Options()
        options.normalizes = false
        options.sharesSize = true
        experts = try Experts(&h, dimensions, options, feedForward: feedForward)
        shared = try SharedExperts(&h, beside: experts, .size(default: feedForward), isGated: true)
    }

    public func build(_ g: GraphBuilder) {
        let rope = rotary.rope()
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization))
            let mixed = block.cachedAttention(q, k, v, scale: attention.scale, mask: traits.mask, rope: rope)
            x = x + block.linear("attn_output", mixed, dimensions.embedding)
            x = x + block.mixture(block.norm("ffn_norm", x, normalization), experts, .init(), beside: shared)
        }
        g.logits(x, dimensions, normalization, tying: .rarely)
    }
}
