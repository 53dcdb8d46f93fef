import ModelGraph

/// PLaMo 3: windows in seven of eight layers, normed queries and keys, SwiGLU, norms before and after each part.
/// Sources: Preferred Networks 2025; the authors' `modeling_plamo.py`, whose YaRN does not round its ramp.
public struct PLaMo3: Architecture {
    public static let name = "plamo3"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let windows: WindowPattern
    let windowedBase: Double
    let feedForward: [Int]

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h)
        traits = try Traits(decoder: &h, bidirectional: false)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions, perLayer: true)
        rotary = try RotaryEmbedding(
            &h, dimensions, headSize: attention.keySize, pairing: .neox, roundsRamp: false)
        windows = try WindowPattern.optional(&h, dimensions, period: 8)
        windowedBase = windows.isUnlimited ? rotary.base : try h.real(
            "rope.freq_base_swa", 1...1e12, fuzz: [10_000, 100, 1_000_000], default: 10_000,
            "base of the rotation frequencies of layers with a window")
        feedForward = try h.integers(
            "feed_forward_length", 1...(1 << 20), fuzz: Domains.feedForward, layers: dimensions.layers,
            "hidden units of a feed-forward network")
    }

    public func build(_ g: GraphBuilder) {
        // What stretches the context does not concern a window, but for the magnitude.
        let windowed = Rope(
            pairing: .neox, dimensions: rotary.dimensions, base: windowedBase, magnitude: rotary.attentionFactor)
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let normed = block.norm("attn_norm", x, normalization)
            let (q, k, v) = attention.project(block, layer, normed, fused: .always, bias: .none)
            let mixed = block.cachedAttention(
                block.norm("attn_q_norm", q, normalization), block.norm("attn_k_norm", k, normalization), v,
                scale: attention.scale, mask: windows.masks[layer],
                rope: windows.isWindowed(layer) ? windowed : rotary.rope())
            let output = block.linear("attn_output", mixed, dimensions.embedding)
            x = x + block.norm("post_attention_norm", output, normalization, suffix: "")
            let fed = block.fusedFeedForward(
                block.norm("ffn_norm", x, normalization), size: feedForward[layer], .gated(.swiglu))
            x = x + block.norm("post_ffw_norm", fed, normalization, suffix: "")
        }
        g.logits(x, dimensions, normalization)
    }
}
