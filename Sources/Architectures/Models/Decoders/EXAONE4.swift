import ModelGraph

/// EXAONE 4: norms after each part only, normed queries and keys; where the model knows windows, layers without one have
/// no positions either, even if all are so.
/// Sources: EXAONE 4.0 technical report (2025), section 2.1; `Exaone4ForCausalLM` of transformers.
public struct EXAONE4: Architecture {
    public static let name = "exaone4"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let windows: WindowPattern
    let feedForward: Int

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(
            // To where the default pattern of windows begins anew.
            &h, embeddings: Domains.evenSizes, layers: [1, 2, 3, 4, 5], predictionBlocks: true)
        traits = try Traits(decoder: &h, bidirectional: false, predictionBlocks: dimensions.predictionBlocks)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions, headSize: .splitEmbedding)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox, whole: true)
        windows = try WindowPattern.optional(&h, dimensions, period: 4)
        feedForward = try h.feedForwardLength()
    }

    public func build(_ g: GraphBuilder) {
        let factors = rotary.factors(g)
        g.decoder(dimensions, normalization) { block, layer, x in
            // Prediction blocks have no windows.
            let mask = layer < dimensions.layers ? windows.masks[layer] : Mask(causal: true)
            let isRotated = windows.isAbsent || mask.window != .unlimited
            let (q, k, v) = attention.project(block, layer, x)
            let mixed = block.cachedAttention(
                block.norm("attn_q_norm", q, normalization), block.norm("attn_k_norm", k, normalization), v,
                scale: attention.scale, mask: mask, rope: isRotated ? rotary.rope() : nil,
                factors: isRotated ? factors : nil)
            let attended = x + block.norm(
                "post_attention_norm", block.linear("attn_output", mixed, dimensions.embedding), normalization)
            let fed = block.feedForward(attended, size: feedForward, .gated(.swiglu))
            return attended + block.norm("post_ffw_norm", fed, normalization)
        }
    }
}
