import ModelGraph

/// Ling 3: Kimi delta attention with decays that have a lower bound, some layers of latent attention with a gate for
/// each head, and experts after leading dense layers. Source: `BailingHybridForCausalLM` of transformers; for limits of
/// the activation, which that has not, llama.cpp.
public struct BailingMoE3: Architecture {
    public static let name = "bailingmoe3"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let isRecurrent: [Bool]
    let attention: MultiHeadLatentAttention
    let rotary: RotaryEmbedding
    let deltaAttention: KimiDeltaAttention
    let leadingDense: Int
    let feedForward: Int
    let experts: Experts
    let sharedSize: Int
    /// Of experts' activations in each block, and of all others'; 0: none.
    let expertLimits, sharedLimits: [Double]

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, layers: LayerLayouts.hybridDepths)
        traits = try Traits(decoder: &h, bidirectional: false)
        normalization = try Normalization(&h, .rms, inner: MultiHeadLatentAttention.normalization.epsilon)
        let heads = try MultiHeadLatentAttention.heads(&h)
        isRecurrent = try LayerLayouts.recurrentLayers(&h, dimensions)
        attention = try MultiHeadLatentAttention(
            &h, heads: heads, form: .absorbed, compression: .optional, isEverywhere: false)
        rotary = try RotaryEmbedding(
            &h, dimensions, rotated: attention.positional, pairing: .normal, scalings: [.linear, .none])
        _ = try h.boolean("kda.safe_gate", among: [true], default: true, "whether decays have a lower bound")
        var variant = KimiDeltaAttention.Variant()
        variant.decayMaps = ["ssm_f_a"]
        variant.gateMaps = ["ssm_g_a"]
        variant.bounding = .always
        variant.holdsRates = true
        deltaAttention = try KimiDeltaAttention(&h, heads: heads, variant)
        leadingDense = try h.leadingDenseBlocks(dimensions, isRequired: true)
        if leadingDense == 0 { try h.note("feed_forward_length", "no block is dense") }
        feedForward = leadingDense == 0 ? 0 : try h.feedForwardLength("hidden units of a dense block")
        experts = try Experts(&h, dimensions, .deepSeek3, feedForward: feedForward)
        let sharedExperts = try h.integer(
            "expert_shared_count", 1...4096, fuzz: [1, 2, 3], "experts that every token uses")
        sharedSize = try h.integer(
            "expert_shared_feed_forward_length", 1...(1 << 20), fuzz: Domains.feedForward,
            default: experts.size * sharedExperts, "hidden units of all shared experts")
        let limits = [0, 1, 0.25, 7]
        expertLimits = try h.reals(
            "swiglu_clamp_exp", 0...1e6, fuzz: limits, layers: dimensions.blocks, default: 0, isRare: true,
            "limit of experts' activations; 0: none")
        sharedLimits = try h.reals(
            "swiglu_clamp_shexp", 0...1e6, fuzz: limits, layers: dimensions.blocks, default: 0, isRare: true,
            "limit of all others' activations; 0: none")
    }

    public func build(_ g: GraphBuilder) {
        var options = MultiHeadLatentAttention.Options()
        options.rope = { rotary.rope(offset: $0) }
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let normed = block.norm("attn_norm", x, normalization)
            let mixed = isRecurrent[layer]
                ? deltaAttention.mix(block, normed, normalization)
                : block.outputGated(
                    attention.attend(block, normed, scale: attention.scale, options), by: normed,
                    heads: attention.heads)
            x = x + block.linear("attn_output", mixed, dimensions.embedding)
            let fed = block.norm("ffn_norm", x, normalization)
            if layer < leadingDense {
                let activation = Activation.swiglu(limit: sharedLimits[layer]) { .product(.silu, limit: $0) }
                x = x + block.feedForward(fed, size: feedForward, activation)
            } else {
                x = x + mixture(block, layer, fed)
            }
        }
        g.logits(x, dimensions, normalization)
    }

    private func mixture(_ block: Scope, _ layer: Int, _ x: Value) -> Value {
        var tensors = Scope.ExpertTensors()
        tensors.selectionBias = .required
        tensors.activation = .swiglu(limit: expertLimits[layer]) { .product(.silu, limit: $0) }
        let shared = Activation.swiglu(limit: sharedLimits[layer]) { .product(.silu, limit: $0) }
        return block.mixture(x, experts, tensors) + block.feedForward(x, size: sharedSize, shared, suffix: "_shexp")
    }
}
