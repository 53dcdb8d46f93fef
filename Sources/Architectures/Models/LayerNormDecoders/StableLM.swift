import ModelGraph

/// StableLM: layer norms, RoPE of a part of each head, SwiGLU. In the model of 12 billion, heads are normed with
/// weights of their own, and the feed-forward network has no norm of its own: it works beside attention, on the same
/// input. Sources: Bellagente et al. 2024, section 2; its class in transformers.
public struct StableLM: Architecture {
    public static let name = "stablelm"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let feedForward: Int

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, embeddings: Domains.evenSizes)
        traits = try Traits(decoder: &h)
        normalization = try Normalization(&h, .layer, bias: .required)
        attention = try GroupedQueryAttention(&h, dimensions, headSize: .splitEmbedding)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox)
        feedForward = try h.feedForwardLength()
        try h.note(
            "use_parallel_residual", "whether feed-forward networks have no norm of their own, as their tensors say")
    }

    public func build(_ g: GraphBuilder) {
        let rope = rotary.rope()
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let normed = block.norm("attn_norm", x, normalization)
            let (q, k, v) = attention.project(block, layer, normed)
            let mixed = block.cachedAttention(
                block.optionalNormOfHeads("attn_q_norm", q, normalization),
                block.optionalNormOfHeads("attn_k_norm", k, normalization), v,
                scale: attention.scale, mask: traits.mask, rope: rope)
            x = x + block.linear("attn_output", mixed, dimensions.embedding)
            x = x + block.feedForward(
                block.optionalNorm("ffn_norm", x, normalization) ?? normed, size: feedForward, .gated(.swiglu))
        }
        g.logits(x, dimensions, normalization, tying: .rarely)
    }
}
