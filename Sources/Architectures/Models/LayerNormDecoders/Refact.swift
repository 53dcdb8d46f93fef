import ModelGraph

/// Refact: linear biases of the attention scores (ALiBi), one key/value head, layer norms without biases, SwiGLU.
///
/// Files name the epsilon as that of an RMS norm; what Small Cloud published norms with layer norms ("LayerNorm instead
/// of RMSNorm").
/// Source: Small Cloud's model card and `modeling_gpt_refact.py` (2023).
public struct Refact: Architecture {
    public static let name = "refact"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let feedForward: Int

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h)
        traits = try Traits(decoder: &h)
        normalization = Normalization(.layer, epsilon: try h.real(
            "attention.layer_norm_rms_epsilon", 0...1, fuzz: Domains.epsilons, "added to the variance by each norm"))
        attention = try GroupedQueryAttention(&h, dimensions, headSize: .splitEmbedding, evenHeads: false)
        feedForward = try h.feedForwardLength()
    }

    public func build(_ g: GraphBuilder) {
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization))
            let mixed = block.cachedAttention(
                q, k, v, scale: attention.scale, mask: traits.mask,
                bias: g.alibi(heads: attention.heads[layer], maxBias: 8))
            x = x + block.linear("attn_output", mixed, dimensions.embedding)
            x = x + block.feedForward(block.norm("ffn_norm", x, normalization), size: feedForward, .gated(.swiglu))
        }
        g.logits(x, dimensions, normalization)
    }
}
