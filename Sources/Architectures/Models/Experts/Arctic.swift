import ModelGraph

/// Arctic: a dense network after attention, and beside both experts that see what attention saw, under a norm of their
/// own.
///
/// The dense network is as wide as the model. The weight of a single expert is not divided by itself.
/// Sources: Snowflake 2024 (Arctic); Snowflake's `arctic.py` of vLLM.
public struct Arctic: Architecture {
    public static let name = "arctic"

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
        attention = try GroupedQueryAttention(&h, dimensions, headSize: .splitEmbedding)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .normal, whole: true)
        let size = try h.feedForwardLength("hidden units of an expert")
        var options = Experts.Options()
        options.declaresSize = false
        options.normalizesSingle = false
        experts = try Experts(&h, dimensions, options, feedForward: size)
    }

    public func build(_ g: GraphBuilder) {
        let rope = rotary.rope()
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization))
            let mixed = block.cachedAttention(q, k, v, scale: attention.scale, mask: traits.mask, rope: rope)
            let attended = x + block.linear("attn_output", mixed, dimensions.embedding)
            let dense = block.feedForward(
                block.norm("ffn_norm", attended, normalization), size: dimensions.embedding, .gated(.swiglu))
            x = attended + dense + block.mixture(block.norm("ffn_norm_exps", x, normalization), experts, .init())
        }
        g.logits(x, dimensions, normalization)
    }
}
