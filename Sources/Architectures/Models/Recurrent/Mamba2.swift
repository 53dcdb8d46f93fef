import ModelGraph

/// Mamba-2: a stack of state space layers with heads, without attention or feed-forward networks.
/// Source: Dao and Gu 2024.
public struct Mamba2: Architecture {
    public static let name = "mamba2"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let stateSpace: StateSpaceDuality

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h)
        traits = try Traits(decoder: &h, bidirectional: false)
        normalization = try Normalization(&h, .rms)
        try h.note("attention.head_count", "no attention, no heads")
        try h.note("feed_forward_length", "no feed-forward network")
        stateSpace = try StateSpaceDuality(&h)
    }

    public func build(_ g: GraphBuilder) {
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            x = x + stateSpace.mix(block, block.norm("attn_norm", x, normalization), normalization)
        }
        g.logits(x, dimensions, normalization)
    }
}
