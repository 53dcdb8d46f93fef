import ModelGraph

/// Command A with experts: attention and experts side by side under one norm, windows with RoPE and layers that see
/// everything without; the mean of routed and shared experts.
///
/// Leading dense blocks are rotated all the same, as the released model's are, which no key says. Softmax is over the
/// selected experts, whatever files call it.
/// Source: `Cohere2MoeForCausalLM` of transformers.
public struct Cohere2MoE: Architecture {
    public static let name = "cohere2moe"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let windows: WindowPattern
    let networks: DenseThenExperts
    let logitScale: Double

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, predictionBlocks: true)
        traits = try Traits(decoder: &h, bidirectional: false, predictionBlocks: dimensions.predictionBlocks)
        if let epsilon = try h.optionalReal(
            "attention.layer_norm_rms_epsilon", 1e-20...1, fuzz: Domains.epsilons, isRare: true,
            "added to the variance by each norm, which is an RMS norm if this is there")
        {
            normalization = Normalization(.rms, epsilon: epsilon)
            try h.note("attention.layer_norm_epsilon", "norms are RMS norms")
        } else {
            normalization = try Normalization(&h, .layer)
        }
        attention = try GroupedQueryAttention(&h, dimensions)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .normal, whole: true)
        try h.note("rope.freq_base_swa", "one base serves all layers that are rotated")
        let window = try h.integer(
            "attention.sliding_window", 1...(1 << 30), fuzz: WindowPattern.lengths, "positions that a window holds")
        windows = try WindowPattern(&h, dimensions, window: .sliding(window), period: 4, startsUnlimited: true)
        var options = Experts.Options()
        options.gatings = [.sigmoid, .softmax, .softmaxOfSelected]
        options.defaultGating = .sigmoid
        options.softmaxIsOfSelected = true
        options.declaresNormalization = true
        options.declaresScale = true
        networks = try DenseThenExperts(
            &h, dimensions, options, shared: .countAndSize(default: 0), isCountRequired: true)
        logitScale = try h.real("logit_scale", 1e-6...1e6, fuzz: [1, 0.0625, 2.5], "multiplies the logits")
    }

    public func build(_ g: GraphBuilder) {
        g.decoder(dimensions, normalization, scale: logitScale) { block, layer, x in
            let normed = block.norm("attn_norm", x, normalization)
            var fed = networks.feed(block, layer, normed, tensors)
            if networks.hasExperts(layer), networks.shared.size > 0 { fed = fed * 0.5 }
            return x + fed + attend(block, layer, normed)
        }
    }

    private var tensors: Scope.ExpertTensors {
        var tensors = Scope.ExpertTensors()
        tensors.mayFuseGateUp = true
        return tensors
    }

    private func attend(_ block: Scope, _ layer: Int, _ x: Value) -> Value {
        let predicts = layer >= dimensions.layers
        let isRotated = predicts || windows.isWindowed(layer) || layer < networks.leadingDense
        let (q, k, v) = attention.project(block, layer, x)
        let mixed = block.cachedAttention(
            q, k, v, scale: attention.scale, mask: predicts ? Mask(causal: true) : windows.masks[layer],
            rope: isRotated ? rotary.rope() : nil)
        return block.linear("attn_output", mixed, dimensions.embedding)
    }
}
