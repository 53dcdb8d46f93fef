import ModelGraph

/// Ling: Llama with DeepSeekMoE's experts beside shared ones; leading blocks may be dense.
///
/// The weight of a single expert is not divided by itself.
/// Sources: Ling team 2025 (Ling), section 2; `modeling_bailing_moe.py` of Ling-lite.
public struct BailingMoE: Architecture {
    public static let name = "bailingmoe"

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
        options.declaresNormalization = true
        options.normalizesSingle = false
        options.normalizationEpsilon = 1e-20
        options.declaresScale = true
        networks = try DenseThenExperts(&h, dimensions, options, shared: .count, isMostlySparse: true)
    }

    public func build(_ g: GraphBuilder) {
        let rope = rotary.rope()
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization))
            let mixed = block.cachedAttention(q, k, v, scale: attention.scale, mask: traits.mask, rope: rope)
            x = x + block.linear("attn_output", mixed, dimensions.embedding, bias: .rare)
            x = x + networks.feed(block, layer, block.norm("ffn_norm", x, normalization), .init())
        }
        g.logits(x, dimensions, normalization, tying: .never)
    }
}
