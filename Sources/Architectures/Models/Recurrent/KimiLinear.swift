import ModelGraph

/// Kimi Linear: Kimi delta attention with some layers of latent attention without positions; experts after leading dense layers.
/// Source: Kimi Linear 2025, sections 3 and 4.
public struct KimiLinear: Architecture {
    public static let name = "kimi-linear"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let isRecurrent: [Bool]
    let attention: MultiHeadLatentAttention
    let deltaAttention: KimiDeltaAttention
    let leadingDense: Int
    let feedForward: Int
    let experts: Experts
    let sharedExperts: Int

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, layers: LayerLayouts.hybridDepths)
        traits = try Traits(decoder: &h, bidirectional: false)
        normalization = try Normalization(&h, .rms, inner: MultiHeadLatentAttention.normalization.epsilon)
        let heads = try MultiHeadLatentAttention.heads(&h)
        isRecurrent = try LayerLayouts.recurrentLayers(&h, dimensions)
        attention = try MultiHeadLatentAttention(
            &h, heads: heads, form: .absorbed, compression: .never, rotates: false, isEverywhere: false)
        try h.note("rope.freq_base", "nothing is rotated")
        deltaAttention = try KimiDeltaAttention(&h, heads: heads)
        leadingDense = try h.integer(
            "leading_dense_block_count", 0...512, fuzz: Array(0...dimensions.layers), default: 0, "dense blocks before those with experts")
        if leadingDense == 0 { try h.note("feed_forward_length", "no block is dense") }
        feedForward = leadingDense == 0 ? 0 : try h.feedForwardLength("hidden units of a dense block")
        var options = Experts.Options()
        options.gatings = [.sigmoid, .softmax, .softmaxOfSelected]
        options.declaresScale = true
        options.groups = true
        options.normalizationEpsilon = 1e-20
        experts = try Experts(&h, dimensions, options, feedForward: feedForward)
        sharedExperts = try h.integer("expert_shared_count", 1...4096, fuzz: [1, 2, 3], "experts that every token uses")
    }

    public func build(_ g: GraphBuilder) {
        var tensors = Scope.ExpertTensors()
        tensors.selectionBias = .required
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let normed = block.norm("attn_norm", x, normalization)
            let mixed = isRecurrent[layer]
                ? deltaAttention.mix(block, normed, normalization)
                : attention.attend(block, normed, scale: attention.scale)
            x = x + block.linear("attn_output", mixed, dimensions.embedding)
            let fed = block.norm("ffn_norm", x, normalization)
            if layer < leadingDense {
                x = x + block.feedForward(fed, size: feedForward, .gated(.swiglu))
            } else {
                x = x + block.mixture(fed, experts, tensors)
                    + block.feedForward(fed, size: experts.size * sharedExperts, .gated(.swiglu), suffix: "_shexp")
            }
        }
        g.logits(x, dimensions, normalization, tying: .rarely)
    }
}
