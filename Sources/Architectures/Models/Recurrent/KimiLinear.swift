import ModelGraph

/// Kimi Linear: Kimi delta attention with some layers of latent attention without positions; experts after leading
/// dense layers. Source: Kimi Linear 2025, sections 3 and 4.
public struct KimiLinear: Architecture {
    public static let name = "kimi-linear"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let isRecurrent: [Bool]
    let attention: MultiHeadLatentAttention
    let deltaAttention: KimiDeltaAttention
    let networks: DenseThenExperts

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, layers: LayerLayouts.hybridDepths)
        traits = try Traits(decoder: &h, bidirectional: false)
        normalization = try Normalization(&h, .rms, inner: MultiHeadLatentAttention.normalization.epsilon)
        let heads = try MultiHeadLatentAttention.heads(&h)
        isRecurrent = try LayerLayouts.recurrentLayers(&h, dimensions)
        attention = try MultiHeadLatentAttention(
            &h, heads: heads, form: .absorbed, compression: .never, sharing: .unrotated, isEverywhere: false)
        try h.note("rope.freq_base", "nothing is rotated")
        deltaAttention = try KimiDeltaAttention(&h, heads: heads)
        var options = Experts.Options()
        options.gatings = [.sigmoid, .softmax, .softmaxOfSelected]
        options.declaresScale = true
        options.groups = true
        options.normalizationEpsilon = 1e-20
        networks = try DenseThenExperts(&h, dimensions, options, shared: .count)
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
            x = x + networks.feed(block, layer, block.norm("ffn_norm", x, normalization), tensors)
        }
        g.logits(x, dimensions, normalization, tying: .rarely)
    }
}
