import ModelGraph

/// Llama and its many kin: a pre-norm decoder with RoPE, grouped queries and SwiGLU, dense or with experts.
/// Source: Touvron et al. 2023; Jiang et al. 2024 (Mixtral).
public struct Llama: Architecture {
    public static let name = "llama"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let feedForward: Int
    let experts: Experts?

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h)
        traits = try Traits(decoder: &h, takesEmbeddings: true)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions)
        rotary = try RotaryEmbedding(
            &h, dimensions, headSize: attention.keySize, pairing: .normal, whole: true,
            scalings: [.linear, .none, .yarn, .longrope])
        feedForward = try h.feedForwardLength()
        var options = Experts.Options()
        options.declaresSize = false
        experts = try Experts.optional(&h, dimensions, options, feedForward: feedForward)
    }

    public func build(_ g: GraphBuilder) {
        let factors = rotary.factors(g)
        let rope = rotary.rope()
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization))
            let mixed = block.cachedAttention(
                q, k, v, scale: attention.scale, mask: traits.mask, rope: rope, factors: factors)
            x = x + block.linear("attn_output", mixed, dimensions.embedding, bias: .optional)
            let normed = block.norm("ffn_norm", x, normalization)
            if let experts {
                x = x + block.mixture(normed, experts, .init())
            } else {
                x = x + block.feedForward(normed, size: feedForward, .gated(.swiglu), bias: .optional)
            }
        }
        g.logits(x, dimensions, normalization)
    }
}
