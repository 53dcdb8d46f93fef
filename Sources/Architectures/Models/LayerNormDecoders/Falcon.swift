import ModelGraph

/// Falcon: attention and feed-forward network side by side on one norm of the residual stream, or on a norm each (40B);
/// few key/value heads, RoPE, GELU.
/// Sources: Almazrouei et al. 2023, section 4; its class in transformers, whose GELU is exact.
public struct Falcon: Architecture {
    public static let name = "falcon"

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
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox, whole: true)
        feedForward = try h.feedForwardLength()
    }

    public func build(_ g: GraphBuilder) {
        let rope = rotary.rope()
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let normed = block.norm("attn_norm", x, normalization)
            // Where there are two norms, the first is the feed-forward network's.
            let attended = block.optionalNorm("attn_norm_2", x, normalization) ?? normed
            let (q, k, v) = attention.project(block, layer, attended, fused: .always, bias: .none)
            let mixed = block.cachedAttention(q, k, v, scale: attention.scale, mask: traits.mask, rope: rope)
            x = x + block.linear("attn_output", mixed, dimensions.embedding)
                + block.feedForward(normed, size: feedForward, .plain(.geluErf))
        }
        g.logits(x, dimensions, normalization)
    }
}
