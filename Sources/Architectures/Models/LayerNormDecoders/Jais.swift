import ModelGraph

/// Jais: linear biases of the attention scores (ALiBi), scores divided by the size of a head and not by its root (μP),
/// SwiGLU, biases throughout. The scales that μP has besides are part of the embeddings and of the output's matrix. Files
/// cannot say that scores are divided by the root after all (`mup_scale_qk_dot_by_d` false), or that biases are
/// stretched (`alibi_scaling`).
/// Sources: Sengupta et al. 2023, section 3; Yang et al. 2022 (μP); the authors' `modeling_jais.py`.
public struct Jais: Architecture {
    public static let name = "jais"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    /// Exponent of ALiBi's steepest slope; 0: the scores have no biases.
    let maxBias: Double
    let feedForward: Int

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h)
        traits = try Traits(decoder: &h)
        normalization = try Normalization(&h, .layer, bias: .required)
        attention = try GroupedQueryAttention(
            &h, dimensions, headSize: .splitEmbedding, evenHeads: false, grouping: .rarely)
        maxBias = try h.real(
            "attention.max_alibi_bias", 0...1e3, fuzz: [8, 0, 4, 16], default: 0,
            "exponent of the steepest slope of ALiBi; 0: no biases")
        feedForward = try h.feedForwardLength()
    }

    public func build(_ g: GraphBuilder) {
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let (q, k, v) = attention.project(
                block, layer, block.norm("attn_norm", x, normalization), fused: .always, bias: .required)
            let mixed = block.cachedAttention(
                q, k, v, scale: 1 / Double(attention.keySize), mask: traits.mask,
                bias: maxBias == 0 ? nil : g.alibi(heads: attention.heads[layer], maxBias: maxBias))
            x = x + block.linear("attn_output", mixed, dimensions.embedding, bias: .required)
            x = x + block.feedForward(
                block.norm("ffn_norm", x, normalization), size: feedForward, .gated(.swiglu), bias: .required)
        }
        g.logits(x, dimensions, normalization, tying: .never)
    }
}
