import ModelGraph

/// GLM-4-0414: norms before and after each part, gate and up in one matrix, half of each head rotated.
/// Source: `Glm4ForCausalLM` of transformers, by its authors.
public struct GLM4: Architecture {
    public static let name = "glm4"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let feedForward: Int

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, predictionBlocks: true)
        traits = try Traits(decoder: &h, predictionBlocks: dimensions.predictionBlocks)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .normal)
        feedForward = try h.feedForwardLength()
    }

    public func build(_ g: GraphBuilder) {
        let rope = rotary.rope()
        g.decoder(dimensions, normalization) { block, layer, x in
            let (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization))
            let mixed = block.cachedAttention(q, k, v, scale: attention.scale, mask: traits.mask, rope: rope)
            let attended = x + block.norm(
                "post_attention_norm", block.linear("attn_output", mixed, dimensions.embedding), normalization)
            let fed = block.fusedFeedForward(
                block.norm("ffn_norm", attended, normalization), size: feedForward, .gated(.swiglu))
            return attended + block.norm("post_ffw_norm", fed, normalization)
        }
    }
}
