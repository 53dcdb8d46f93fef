import ModelGraph

/// Mamba and FalconMamba: a stack of selective state space layers, without attention or feed-forward networks.
/// Sources: Gu and Dao 2023; Zuo et al. 2024 (FalconMamba, which norms time steps, B and C).
public struct Mamba: Architecture {
    public static let name = "mamba"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let stateSpace: SelectiveStateSpace
    let innerNorms: SelectiveStateSpace.InnerNorms

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h)
        traits = try Traits(decoder: &h, bidirectional: false)
        normalization = try Normalization(&h, .rms)
        try h.note("attention.head_count", "no attention, no heads")
        try h.note("feed_forward_length", "no feed-forward network")
        stateSpace = try SelectiveStateSpace(&h, dimensions)
        let norms = try h.boolean("ssm.dt_b_c_rms", default: false, "whether time steps, B and C are normed")
        innerNorms = norms ? .unweighted : .none
    }

    public func build(_ g: GraphBuilder) {
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            x = x + stateSpace.mix(
                block, block.norm("attn_norm", x, normalization), normalization, innerNorms: innerNorms)
        }
        g.logits(x, dimensions, normalization)
    }
}
