import ModelGraph

/// Kimi K3: as Kimi Linear, with attention residuals, experts in a narrower space, soft limits of the activation, and
/// gates after latent attention.
/// Source: the released model's configuration, and llama.cpp: transformers has no such class.
public struct KimiK3: Architecture {
    public static let name = "kimi-k3"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let isRecurrent: [Bool]
    let attention: MultiHeadLatentAttention
    let deltaAttention: KimiDeltaAttention
    let networks: DenseThenExperts
    /// Width of the space in which experts work; 0: the model's own.
    let expertWidth: Int
    let residualBlockSize: Int
    let activation: Activation

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, layers: LayerLayouts.hybridDepths)
        traits = try Traits(decoder: &h, bidirectional: false)
        normalization = try Normalization(&h, .rms, inner: MultiHeadLatentAttention.normalization.epsilon)
        let heads = try MultiHeadLatentAttention.heads(&h)
        isRecurrent = try LayerLayouts.recurrentLayers(&h, dimensions)
        attention = try MultiHeadLatentAttention(
            &h, heads: heads, form: .absorbed, compression: .optional, sharing: .unrotated, isEverywhere: false)
        try h.note("rope.freq_base", "nothing is rotated")
        var variant = KimiDeltaAttention.Variant()
        variant.gateMaps = ["ssm_g"]
        variant.bounding = .optional
        variant.hasDecayColumn = false
        deltaAttention = try KimiDeltaAttention(&h, heads: heads, variant)
        networks = try DenseThenExperts(&h, dimensions, .deepSeek3, shared: .count)
        expertWidth = try h.integer(
            "expert_latent_length", 0...(1 << 20), fuzz: [32, 16, 33, 64, 0], default: 0,
            "width of the space in which experts work; 0: the model's own")
        residualBlockSize = try h.integer(
            "attn_res.block_size", 0...512, fuzz: [1, 2, 3, 0],
            "layers between those that begin a residual stream; 0: there is one")
        let gate = try h.real("activation.situ_beta", 1e-3...1e6, fuzz: [4, 1, 0.5], "soft limit of gates")
        let up = try h.real(
            "activation.situ_linear_beta", -1...1e6, fuzz: [4, 1, 0.5, 0],
            "soft limit of what is gated; 0 or less: none")
        activation = .softLimited(gate: gate, up: up > 0 ? up : nil)
    }

    public func build(_ g: GraphBuilder) {
        var residuals = AttentionResiduals(blockSize: residualBlockSize)
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let normed = block.norm(
                "attn_norm", residuals.mixed(block, x, "attn_res_score", normalization), normalization)
            x = residuals.advanced(
                x, by: block.linear("attn_output", attend(block, layer, normed), dimensions.embedding), layer: layer)
            let fed = block.norm("ffn_norm", residuals.mixed(block, x, "ffn_res_score", normalization), normalization)
            x = x + (networks.hasExperts(layer)
                ? mixture(block, fed) : block.feedForward(fed, size: networks.feedForward, activation))
        }
        g.logits(
            residuals.mixed(g.model, x, "output_res_score", normalization), dimensions, normalization, tying: .never)
    }

    private func attend(_ block: Scope, _ layer: Int, _ x: Value) -> Value {
        if isRecurrent[layer] { return deltaAttention.mix(block, x, normalization) }
        let mixed = attention.attend(block, x, scale: attention.scale)
        return block.has("attn_gate.weight") ? block.outputGated(mixed, by: x) : mixed
    }

    private func mixture(_ block: Scope, _ x: Value) -> Value {
        var tensors = Scope.ExpertTensors()
        tensors.selectionBias = .required
        tensors.activation = activation
        var routed: Value
        if expertWidth > 0 {
            routed = block.mixture(
                block.linear("ffn_routed_down", x, expertWidth), networks.experts, tensors, scored: x)
            if block.has("ffn_routed_norm.weight") { routed = block.norm("ffn_routed_norm", routed, normalization) }
            routed = block.linear("ffn_routed_up", routed, dimensions.embedding)
        } else {
            routed = block.mixture(x, networks.experts, tensors)
        }
        guard block.has("ffn_up_shexp.weight") else { return routed }
        return routed + block.sharedExperts(x, networks.shared, activation)
    }
}
