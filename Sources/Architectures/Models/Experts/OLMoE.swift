import ModelGraph

/// OLMoE: queries and keys normed across all heads, every feed-forward network a mixture of experts.
/// Source: Muennighoff et al. 2024, section 2.
public struct OLMoE: Architecture {
    public static let name = "olmoe"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let experts: Experts

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, embeddings: Domains.evenSizes)
        traits = try Traits(decoder: &h)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions, headSize: .splitEmbedding, grouping: .rarely)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox, whole: true)
        let size = try h.feedForwardLength("hidden units of an expert")
        var options = Experts.Options()
        options.declaresSize = false
        options.normalizes = false
        options.groups = true
        experts = try Experts(&h, dimensions, options, feedForward: size)
    }

    public func build(_ g: GraphBuilder) {
        let rope = rotary.rope()
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization))
            let mixed = block.cachedAttention(
                block.normAcrossHeads("attn_q_norm", q, normalization),
                block.normAcrossHeads("attn_k_norm", k, normalization), v,
                scale: attention.scale, mask: traits.mask, rope: rope)
            x = x + block.linear("attn_output", mixed, dimensions.embedding, bias: .rare)
            x = x + block.mixture(block.norm("ffn_norm", x, normalization), experts, .init())
        }
        g.logits(x, dimensions, normalization, tying: .rarely)
    }
}
