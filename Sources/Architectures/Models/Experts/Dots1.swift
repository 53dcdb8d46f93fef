import ModelGraph

/// dots.llm1: RMS-normed queries and keys, DeepSeek-V3's experts beside shared ones after leading dense blocks.
/// Sources: rednote 2025 (dots.llm1), section 2; `Dots1ForCausalLM` of transformers.
public struct Dots1: Architecture {
    public static let name = "dots1"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let networks: DenseThenExperts

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h)
        traits = try Traits(decoder: &h)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions, grouping: .rarely)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox, whole: true)
        networks = try DenseThenExperts(&h, dimensions, .deepSeek3, shared: .count)
    }

    public func build(_ g: GraphBuilder) {
        let rope = rotary.rope()
        var tensors = Scope.ExpertTensors()
        tensors.selectionBias = .usual
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization))
            let mixed = block.cachedAttention(
                block.norm("attn_q_norm", q, normalization), block.norm("attn_k_norm", k, normalization), v,
                scale: attention.scale, mask: traits.mask, rope: rope)
            x = x + block.linear("attn_output", mixed, dimensions.embedding, bias: .rare)
            x = x + networks.feed(block, layer, block.norm("ffn_norm", x, normalization), tensors)
        }
        g.logits(x, dimensions, normalization, tying: .rarely)
    }
}
