import ModelGraph

/// MiMo-V2-Flash and MiMo-V2.5: windows in most layers, with more key/value heads, sinks and a base of their own;
/// scaled values of another size than keys; each layer dense or with experts chosen by a selection bias, as its tensors
/// say.
/// Sources: MiMo-V2-Flash technical report (2026), section 2; `MiMoV2FlashForCausalLM` of transformers.
public struct MiMo2: Architecture {
    public static let name = "mimo2"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let valueScale: Double
    let rotary: RotaryEmbedding
    let windows: WindowPattern
    let windowedBase: Double
    let feedForward: Int
    let experts: Experts

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, layers: [2, 1, 3, 4], predictionBlocks: true)
        traits = try Traits(decoder: &h, bidirectional: false, predictionBlocks: dimensions.predictionBlocks)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(
            &h, dimensions, headSize: .declared, perLayer: true, queriesPerLayer: true)
        valueScale = try h.real(
            "attention.value_scale", 1e-6...1e6, fuzz: [0.707, 1, 0.5, 2.5], default: 1, "multiplies the values")
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox)
        let window = try h.integer(
            "attention.sliding_window", 1...(1 << 30), fuzz: WindowPattern.lengths, "positions that a window holds")
        windows = try WindowPattern(listed: &h, dimensions, window: .sliding(window))
        windowedBase = try h.real(
            "rope.freq_base_swa", 1...1e12, fuzz: [10_000, 100, 1_000_000], default: 10_000,
            "base of the rotation frequencies of layers with a window")
        feedForward = try h.feedForwardLength("hidden units of a dense block")
        var options = Experts.Options()
        options.gatings = [.sigmoid]
        options.normalizationEpsilon = 1e-20
        options.groups = true
        experts = try Experts(&h, dimensions, options, feedForward: 0)
        try h.note("expert_gating_func", "sigmoid")
    }

    public func build(_ g: GraphBuilder) {
        g.decoder(dimensions, normalization, tying: .rarely, outputNorm: "layer_output_norm") { transform($0, $1, $2) }
    }

    /// One block: `[T, D] → [T, D]`.
    private func transform(_ block: Scope, _ layer: Int, _ x: Value) -> Value {
        // What stretches the context does not concern a window, but for the magnitude.
        let windowed = Rope(
            pairing: .neox, dimensions: rotary.dimensions, base: windowedBase, magnitude: rotary.attentionFactor)
        let (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization))
        let mixed = block.cachedAttention(
            q, k, v * valueScale, scale: attention.scale, mask: windows.masks[layer],
            rope: windows.isWindowed(layer) ? windowed : rotary.rope(),
            sinks: block.optionalWeight("attn_sinks.weight", [attention.heads[layer]], .sink))
        let x = x + block.linear("attn_output", mixed, dimensions.embedding)
        let normed = block.norm("ffn_norm", x, normalization)
        guard block.hasExperts else { return x + block.feedForward(normed, size: feedForward, .gated(.swiglu)) }
        var tensors = Scope.ExpertTensors()
        tensors.selectionBias = .usual
        return x + block.mixture(normed, experts, tensors)
    }
}
