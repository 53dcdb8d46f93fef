import ModelGraph

/// Nemotron-H: each block is one of Mamba-2, attention without positions, or a feed-forward network.
/// Source: NVIDIA 2025 (Nemotron-H), section 2.
public struct NemotronH: Architecture {
    public static let name = "nemotron_h"
    let decoder: SingleMixerDecoder
    public var dimensions: Dimensions { decoder.dimensions }
    public var traits: Traits { decoder.traits }

    public init(_ h: inout some Hyperparameters) throws { decoder = try SingleMixerDecoder(&h) }
    public func build(_ g: GraphBuilder) { decoder.build(g) }
}

/// Nemotron 3: Nemotron-H with experts, which may work in a narrower, latent space.
/// Source: NVIDIA 2025 (Nemotron 3), section 2. Files of either name hold the same keys and tensors.
public struct NemotronHMoE: Architecture {
    public static let name = "nemotron_h_moe"
    let decoder: SingleMixerDecoder
    public var dimensions: Dimensions { decoder.dimensions }
    public var traits: Traits { decoder.traits }

    public init(_ h: inout some Hyperparameters) throws { decoder = try SingleMixerDecoder(&h) }
    public func build(_ g: GraphBuilder) { decoder.build(g) }
}

/// A decoder whose blocks have one mixer each, told by two keys: a feed-forward length other than 0, else
/// key/value heads, else neither.
///
/// Time steps have no limits: the code published with the models has a `time_step_limit` of (0, ∞), as Mamba-2's own.
/// transformers 5.24 takes `time_step_min` for the lower limit, which raises the smallest steps: a slip, since that key
/// says how steps are initialised.
struct SingleMixerDecoder: Sendable {
    let dimensions: Dimensions
    let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let stateSpace: StateSpaceDuality
    /// Hidden units of each layer's feed-forward network; 0: the layer has none.
    let feedForward: [Int]
    /// Of each layer; nil where it has none.
    let experts: [Experts?]
    let sharedSize: Int
    /// Width in which the experts work; 0: that of the model.
    let latentSize: Int

    init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, layers: LayerLayouts.hybridDepths, predictionBlocks: true)
        traits = try Traits(decoder: &h, bidirectional: false, predictionBlocks: dimensions.predictionBlocks)
        let epsilon = try h.real(
            "attention.layer_norm_epsilon", 0...1, fuzz: Domains.epsilons,
            "added to the variance where the next key is absent")
        normalization = try Normalization(&h, .rms, default: epsilon)
        attention = try GroupedQueryAttention(&h, dimensions, evenHeads: false, otherLayers: true)
        stateSpace = try StateSpaceDuality(&h)
        try h.note("rope.dimension_count", "nothing is rotated")
        try h.note("rope.scaling.finetuned", "nothing is rotated")
        try h.note("expert_shared_count", "experts that every token uses, which are one of their size together")
        let hasHeads = attention.keyValueHeads.prefix(dimensions.layers).map { $0 > 0 }
        let predicting = Array(repeating: Domains.feedForward[0], count: dimensions.predictionBlocks)
        feedForward = try h.integers(
            "feed_forward_length", 0...(1 << 20),
            layouts: LayerLayouts.choices(
                sparing: hasHeads).flatMap { LayerLayouts.values(Domains.feedForward, where: $0) }
                .map { $0 + predicting },
            layers: dimensions.blocks, default: hasHeads.map { _ in 0 } + predicting,
            "hidden units of a feed-forward network; 0: the layer has none")

        var options = Experts.Options()
        options.gatings = [.sigmoid]
        options.declaresNormalization = true
        options.declaresScale = true
        options.groups = true
        options.normalizationEpsilon = 1e-20
        experts = try Experts.ofLayers(
            &h, dimensions, options, feedForward: feedForward, mayBeDense: dimensions.predictionBlocks == 0)
        for block in dimensions.layers..<dimensions.blocks {
            try h.require(
                attention.keyValueHeads[block] > 0 && experts[block] != nil, "attention.head_count_kv", "expert_count",
                "nextn_predict_layers", because: "a block that predicts further tokens has attention and experts")
        }
        if experts.contains(where: { $0 != nil }) {
            sharedSize = try h.integer(
                "expert_shared_feed_forward_length", 1...(1 << 20), fuzz: Domains.feedForward,
                "hidden units of the expert that every token uses")
            latentSize = try h.integer(
                "moe_latent_size", 0...(1 << 20), fuzz: [0, 16, 8, 33, 64], default: 0,
                "width in which experts work; 0: that of the model")
        } else {
            try h.note("expert_shared_feed_forward_length", "no experts")
            (sharedSize, latentSize) = (0, 0)
        }
    }

    func build(_ g: GraphBuilder) {
        if case .predict(let number) = g.batch.stage {
            return g.prediction(number, dimensions, normalization) { block, layer, x in
                let x = x + attend(block, layer, block.norm("attn_norm", x, normalization))
                return x + feed(block, layer, block.norm("post_attention_norm", x, normalization))
            }
        }
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let normed = block.norm("attn_norm", x, normalization)
            if feedForward[layer] > 0 {
                x = x + feed(block, layer, normed)
            } else if attention.keyValueHeads[layer] > 0 {
                x = x + attend(block, layer, normed)
            } else {
                x = x + stateSpace.mix(block, normed, normalization)
            }
        }
        g.logits(x, dimensions, normalization)
    }

    private func attend(_ block: Scope, _ layer: Int, _ x: Value) -> Value {
        let (q, k, v) = attention.project(block, layer, x)
        let mixed = block.cachedAttention(q, k, v, scale: attention.scale)
        return block.linear("attn_output", mixed, dimensions.embedding, bias: .optional)
    }

    private func feed(_ block: Scope, _ layer: Int, _ x: Value) -> Value {
        guard let experts = experts[layer] else {
            return block.feedForward(x, size: feedForward[layer], .plain(.squaredReLU), bias: .optional)
        }
        var tensors = Scope.ExpertTensors()
        tensors.activation = .plain(.squaredReLU)
        tensors.selectionBias = .required
        let shared = block.feedForward(x, size: sharedSize, .plain(.squaredReLU), suffix: "_shexp")
        guard latentSize > 0 else { return block.mixture(x, experts, tensors) + shared }
        let latent = block.linear("ffn_latent_down", x, latentSize)
        let mixed = block.mixture(latent, experts, tensors, scored: x)
        return block.linear("ffn_latent_up", mixed, dimensions.embedding) + shared
    }
}
