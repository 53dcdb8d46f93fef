import ModelGraph

/// Qwen3.5: Qwen3-Next's gated delta nets and gated attention with dense feed-forward networks, and the value heads of
/// its delta nets in another order.
/// Source: Qwen team 2026 (Qwen3.5).
public struct Qwen35: Architecture {
    public static let name = "qwen35"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let mixers: DeltaNetHybrid
    let feedForward: Int

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, layers: LayerLayouts.hybridDepths, predictionBlocks: true)
        traits = try Traits(decoder: &h, bidirectional: false, predictionBlocks: dimensions.predictionBlocks)
        normalization = try Normalization(&h, .rms, inner: Scope.unitEpsilon)
        mixers = try DeltaNetHybrid(&h, dimensions, .inTurns, sections: true)
        feedForward = try h.feedForwardLength()
    }

    public func build(_ g: GraphBuilder) {
        g.decoder(dimensions, normalization) { block, layer, x in
            let x = x + mixers.mix(block, layer, block.norm("attn_norm", x, normalization), normalization)
            return x + block.feedForward(
                block.norm("post_attention_norm", x, normalization), size: feedForward, .gated(.swiglu))
        }
    }
}
