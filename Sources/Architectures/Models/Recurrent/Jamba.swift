import ModelGraph

/// Jamba: Mamba layers with some of grouped-query attention without positions; feed-forward networks dense or with
/// experts. Source: Lieber et al. 2024, section 2.
public struct Jamba: Architecture {
    public static let name = "jamba"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let stateSpace: SelectiveStateSpace
    let feedForward: Int
    let experts: Experts?

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, layers: LayerLayouts.hybridDepths)
        traits = try Traits(decoder: &h, bidirectional: false)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(
            &h, dimensions, headSize: .splitEmbedding, evenHeads: false, otherLayers: true)
        stateSpace = try SelectiveStateSpace(&h, dimensions)
        feedForward = try h.feedForwardLength()
        var options = Experts.Options()
        options.normalizes = false
        options.declaresSize = false
        options.groups = true
        experts = try Experts.optional(&h, dimensions, options, feedForward: feedForward)
    }

    public func build(_ g: GraphBuilder) {
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let normed = block.norm("attn_norm", x, normalization)
            if attention.keyValueHeads[layer] == 0 {
                x = x + stateSpace.mix(block, normed, normalization, innerNorms: .weighted)
            } else {
                let (q, k, v) = attention.project(block, layer, normed)
                let mixed = block.cachedAttention(q, k, v, scale: attention.scale)
                x = x + block.linear("attn_output", mixed, dimensions.embedding)
            }
            let mixed = block.norm("ffn_norm", x, normalization)
            // A layer has experts if it has a router.
            if let experts, block.has("ffn_gate_inp.weight") {
                x = x + block.mixture(mixed, experts, .init())
            } else {
                x = x + block.feedForward(mixed, size: feedForward, .gated(.swiglu))
            }
        }
        g.logits(x, dimensions, normalization)
    }
}
