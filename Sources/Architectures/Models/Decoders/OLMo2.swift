import ModelGraph

/// OLMo 2 and 3: norms after each part only, queries and keys normed across all heads, windows in OLMo 3.
/// Source: OLMo 2 (2025), section 3.
public struct OLMo2: Architecture {
    public static let name = "olmo2"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding.UnstretchedWindows
    let windows: WindowPattern
    let feedForward: Int

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(
            // To where the default pattern of windows begins anew.
            &h, embeddings: Domains.evenSizes, layers: [1, 2, 3, 4, 5])
        traits = try Traits(decoder: &h, bidirectional: false)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions, headSize: .splitEmbedding)
        let whole = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox, whole: true)
        windows = try WindowPattern.optional(&h, dimensions, period: 4)
        rotary = try RotaryEmbedding.UnstretchedWindows(&h, whole, windows)
        feedForward = try h.feedForwardLength()
    }

    public func build(_ g: GraphBuilder) {
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let rope = rotary.rope(isWindowed: windows.isWindowed(layer))
            let (q, k, v) = attention.project(block, layer, x)
            let mixed = block.cachedAttention(
                block.normAcrossHeads("attn_q_norm", q, normalization),
                block.normAcrossHeads("attn_k_norm", k, normalization), v,
                scale: attention.scale, mask: windows.masks[layer], rope: rope)
            x = x + block.norm(
                "post_attention_norm", block.linear("attn_output", mixed, dimensions.embedding, bias: .rare),
                normalization)
            x = x + block.norm("post_ffw_norm", block.feedForward(x, size: feedForward, .gated(.swiglu)), normalization)
        }
        g.logits(x, dimensions, normalization, tying: .rarely)
    }
}
