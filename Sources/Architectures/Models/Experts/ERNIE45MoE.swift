import ModelGraph

/// ERNIE 4.5 with experts: every so many blocks after the leading dense ones have them, beside shared ones.
/// Sources: Baidu 2025 (ERNIE 4.5), section 2; `Ernie4_5_MoeForCausalLM` of transformers.
public struct ERNIE45MoE: Architecture {
    public static let name = "ernie4_5-moe"

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
        attention = try GroupedQueryAttention(&h, dimensions)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .normal, whole: true)
        var options = Experts.Options()
        options.normalizationFloor = 1e-12
        networks = try DenseThenExperts(&h, dimensions, options, shared: .size(default: 0), isInterleaved: true)
    }

    public func build(_ g: GraphBuilder) {
        let rope = rotary.rope()
        var tensors = Scope.ExpertTensors()
        tensors.selectionBias = .usual
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization))
            let mixed = block.cachedAttention(q, k, v, scale: attention.scale, mask: traits.mask, rope: rope)
            x = x + block.linear("attn_output", mixed, dimensions.embedding, bias: .rare)
            x = x + networks.feed(block, layer, block.norm("ffn_norm", x, normalization), tensors, bias: .rare)
        }
        g.logits(x, dimensions, normalization, bias: .rare)
    }
}
