import ModelGraph

/// Maple: windows with RoPE and layers that see everything without, RMS-normed queries and keys, experts of clamped
/// SwiGLU. Source: Deep Grove's `modeling_maple.py`.
public struct Maple: Architecture {
    public static let name = "maple"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding.Windowed
    /// Of each layer; those with a window alone are rotated.
    let masks: [Mask]
    let experts: Experts
    /// Bounds of the experts' gates and units in each layer; 0: none.
    let limits: [Double]

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h)
        traits = try Traits(decoder: &h, bidirectional: false)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions)
        rotary = try RotaryEmbedding.Windowed(
            &h, RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox))
        masks = try WindowPattern.flagged(&h, dimensions)
        try h.note("feed_forward_length", "every feed-forward network is an expert")
        var options = Experts.Options()
        options.normalizationEpsilon = 1e-20
        experts = try Experts(&h, dimensions, options, feedForward: 0)
        limits = try h.reals(
            "swiglu_clamp_exp", 0...1e6, fuzz: [7, 1, 0.25, 0], layers: dimensions.layers,
            "bound of an expert's gate and units; 0: none")
    }

    public func build(_ g: GraphBuilder) {
        let rope = rotary.rope(isWindowed: true)
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            var tensors = Scope.ExpertTensors()
            if limits[layer] > 0 { tensors.activation = .limited(.swiglu, limits[layer]) }
            let (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization))
            let mixed = block.cachedAttention(
                block.norm("attn_q_norm", q, normalization), block.norm("attn_k_norm", k, normalization), v,
                scale: attention.scale, mask: masks[layer], rope: masks[layer].window == .unlimited ? nil : rope)
            x = x + block.linear("attn_output", mixed, dimensions.embedding)
            x = x + block.mixture(block.norm("ffn_norm", x, normalization), experts, tensors)
        }
        g.logits(x, dimensions, normalization, tying: .never)
    }
}
