import ModelGraph

/// DeepSeek-V4: attention in windows and to compressed entries, experts beside shared ones, and hyper-connections in
/// place of residuals. Layers that choose experts by the token itself are not supported. Sources: DeepSeek-V4 (2026);
/// `DeepseekV4ForCausalLM` of transformers.
public struct DeepSeek4: Architecture {
    public static let name = "deepseek4"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: CompressedAttention
    let connections: ManifoldHyperConnections
    let experts: Experts
    let shared: SharedExperts
    /// Bounds of what gates and inputs make, of experts and of shared ones.
    let limits: (experts: Double, shared: Double)

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h)
        traits = try Traits(decoder: &h, bidirectional: false)
        normalization = try Normalization(&h, .rms)
        attention = try CompressedAttention(&h, dimensions, normalization)
        connections = try ManifoldHyperConnections(&h, dimensions, normalization)
        _ = try h.integer(
            "hash_layer_count", 0...0, fuzz: [0], "layers that choose experts by the token: not supported")
        _ = try h.integer("expert_gating_func", 4...4, fuzz: [4], "how router logits become weights: √softplus")
        var options = Experts.Options()
        options.gatings = [.rootOfSoftplus]
        options.declaresNormalization = true
        options.declaresScale = true
        options.alwaysDeclares = true
        options.normalizationEpsilon = 1e-20
        experts = try Experts(&h, dimensions, options, feedForward: 0)
        shared = try SharedExperts(&h, beside: experts, .count)
        let limit = try h.real(
            "swiglu_clamp_exp", 0...1e6, fuzz: [10, 1, 0.5], "bound of what experts' gates and inputs are; 0: none")
        limits = (limit, try h.real(
            "swiglu_clamp_shexp", 0...1e6, fuzz: [10, 1, 0.5], default: limit, "the same of shared experts"))
    }

    public func build(_ g: GraphBuilder) {
        var tensors = Scope.ExpertTensors()
        tensors.selectionBias = .required
        tensors.activation = .swiglu(limit: limits.experts) { .limited(.swiglu, $0) }
        let bounded = Activation.swiglu(limit: limits.shared) { .limited(.swiglu, $0) }
        var x = connections.begin(g.tokenEmbedding(dimensions))
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            x = connections.around(block, "hc_attn", x) {
                attention.mix(block, layer, block.norm("attn_norm", $0, normalization))
            }
            x = connections.around(block, "hc_ffn", x) {
                let fed = block.norm("ffn_norm", $0, normalization)
                return block.mixture(fed, experts, tensors)
                    + block.sharedExperts(fed, shared, bounded)
            }
        }
        g.logits(connections.end(g.model, x), dimensions, normalization, tying: .never)
    }
}
