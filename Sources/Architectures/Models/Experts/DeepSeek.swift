import ModelGraph

/// DeepSeekMoE: Llama with many small experts beside shared ones, after leading dense blocks.
/// Sources: Dai et al. 2024 (DeepSeekMoE), section 3; `modeling_deepseek.py` of deepseek-moe-16b.
public struct DeepSeek: Architecture {
    public static let name = "deepseek"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let networks: DenseThenExperts

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, embeddings: Domains.evenSizes)
        traits = try Traits(decoder: &h)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions, headSize: .splitEmbedding)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .normal, whole: true)
        var options = Experts.Options()
        options.normalizes = false
        options.declaresScale = true
        networks = try DenseThenExperts(&h, dimensions, options, shared: .count)
    }

    public func build(_ g: GraphBuilder) {
        let rope = rotary.rope()
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization))
            let mixed = block.cachedAttention(q, k, v, scale: attention.scale, mask: traits.mask, rope: rope)
            x = x + block.linear("attn_output", mixed, dimensions.embedding)
            x = x + networks.feed(block, layer, block.norm("ffn_norm", x, normalization), .init())
        }
        g.logits(x, dimensions, normalization)
    }
}
