import ModelGraph

/// Mellum 2: Qwen3 with experts, and windows in most layers.
/// Sources: JetBrains 2026 (Mellum 2); `MellumForCausalLM` of transformers.
public struct Mellum: Architecture {
    public static let name = "mellum"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding.UnstretchedWindows
    let windows: WindowPattern
    let experts: Experts

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, layers: [1, 2, 3, 4, 5])
        traits = try Traits(decoder: &h, bidirectional: false)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions)
        let whole = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox, whole: true)
        windows = try WindowPattern.optional(&h, dimensions, period: 4)
        rotary = try RotaryEmbedding.UnstretchedWindows(&h, whole, windows)
        try h.note("feed_forward_length", "every feed-forward network is an expert")
        experts = try Experts(&h, dimensions, .init(), feedForward: 0)
    }

    public func build(_ g: GraphBuilder) {
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization))
            let mixed = block.cachedAttention(
                block.norm("attn_q_norm", q, normalization), block.norm("attn_k_norm", k, normalization), v,
                scale: attention.scale, mask: windows.masks[layer],
                rope: rotary.rope(isWindowed: windows.isWindowed(layer)))
            x = x + block.linear("attn_output", mixed, dimensions.embedding, bias: .rare)
            x = x + block.mixture(block.norm("ffn_norm", x, normalization), experts, .init())
        }
        g.logits(x, dimensions, normalization, tying: .rarely)
    }
}
