import ModelGraph

/// BLOOM: positions by a bias of the attention scores alone (ALiBi), normed token embeddings, GELU.
/// Sources: BigScience 2022; Press et al. 2021 (ALiBi).
public struct Bloom: Architecture {
    public static let name = "bloom"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let feedForward: Int

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h)
        traits = try Traits(decoder: &h)
        normalization = try Normalization(&h, .layer, bias: .required)
        attention = try GroupedQueryAttention(&h, dimensions, headSize: .splitEmbedding, evenHeads: false)
        feedForward = try h.feedForwardLength()
    }

    public func build(_ g: GraphBuilder) {
        var x = g.model.norm("token_embd_norm", g.tokenEmbedding(dimensions), normalization)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let (q, k, v) = attention.project(
                block, layer, block.norm("attn_norm", x, normalization), fused: .always, bias: .required)
            let mixed = block.cachedAttention(
                q, k, v, scale: attention.scale, mask: traits.mask,
                bias: g.alibi(heads: attention.heads[layer], maxBias: 8))
            x = x + block.linear("attn_output", mixed, dimensions.embedding, bias: .required)
            x = x + block.feedForward(
                block.norm("ffn_norm", x, normalization), size: feedForward, .plain(.gelu), bias: .required)
        }
        g.logits(x, dimensions, normalization)
    }
}
