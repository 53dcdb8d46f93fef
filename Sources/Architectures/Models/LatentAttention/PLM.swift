import ModelGraph

/// PLM: latent attention without compressed queries, squared ReLU, and tied embeddings.
/// Source: Deng et al. 2025 (PLM: Efficient Peripheral Language Models), section 3.
public struct PLM: Architecture {
    public static let name = "plm"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: MultiHeadLatentAttention
    let rotary: RotaryEmbedding
    let feedForward: Int

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h)
        traits = try Traits(decoder: &h)
        normalization = try Normalization(&h, .rms, inner: MultiHeadLatentAttention.normalization.epsilon)
        let heads = try MultiHeadLatentAttention.heads(&h)
        attention = try MultiHeadLatentAttention(&h, heads: heads, form: .expanded, compression: .never)
        rotary = try RotaryEmbedding(&h, dimensions, rotated: attention.positional, pairing: .normal)
        feedForward = try h.feedForwardLength()
    }

    public func build(_ g: GraphBuilder) {
        var options = MultiHeadLatentAttention.Options()
        options.rope = { rotary.rope(offset: $0) }
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let mixed = attention.attend(
                block, block.norm("attn_norm", x, normalization), scale: attention.scale, mask: traits.mask, options)
            x = x + block.linear("attn_output", mixed, dimensions.embedding)
            let fed = block.norm("ffn_norm", x, normalization)
            x = x + block.feedForward(fed, size: feedForward, .plain(.squaredReLU))
        }
        g.logits(x, dimensions, normalization, tying: .always)
    }
}
