import ModelGraph

/// K-EXAONE: RMS-normed queries and keys, windows with RoPE and layers that see everything without; experts beside
/// shared ones after leading dense blocks.
///
/// Blocks that predict further tokens are dense and see everything.
/// Sources: LG AI Research 2026 (K-EXAONE); `ExaoneMoeForCausalLM` of transformers.
public struct EXAONEMoE: Architecture {
    public static let name = "exaone-moe"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let windows: WindowPattern
    let networks: DenseThenExperts

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, predictionBlocks: true)
        traits = try Traits(decoder: &h, bidirectional: false, predictionBlocks: dimensions.predictionBlocks)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox, whole: true)
        try h.note("rope.freq_base_swa", "one base serves all layers that are rotated")
        let window = try h.integer(
            "attention.sliding_window", 1...(1 << 30), fuzz: WindowPattern.lengths, "positions that a window holds")
        windows = try WindowPattern(&h, dimensions, window: .sliding(window), period: 4)
        networks = try DenseThenExperts(
            &h, dimensions, .deepSeek3, shared: .countAndSize(default: 1),
            alwaysHasDense: dimensions.predictionBlocks > 0)
    }

    public func build(_ g: GraphBuilder) {
        let factors = rotary.factors(g)
        var tensors = Scope.ExpertTensors()
        tensors.selectionBias = .usual
        g.decoder(dimensions, normalization, tying: .rarely) { block, layer, x in
            let (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization))
            let predicts = layer >= dimensions.layers
            let isWindowed = !predicts && windows.isWindowed(layer)
            let mixed = block.cachedAttention(
                block.norm("attn_q_norm", q, normalization), block.norm("attn_k_norm", k, normalization), v,
                scale: attention.scale, mask: isWindowed ? windows.masks[layer] : Mask(causal: true),
                rope: isWindowed ? rotary.rope() : nil, factors: isWindowed ? factors : nil)
            let x = x + block.linear("attn_output", mixed, dimensions.embedding)
            let normed = block.norm("ffn_norm", x, normalization)
            return x + (predicts
                ? block.feedForward(normed, size: networks.feedForward, .gated(.swiglu))
                : networks.feed(block, layer, normed, tensors))
        }
    }
}
