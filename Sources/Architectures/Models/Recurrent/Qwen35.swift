import ModelGraph

/// Qwen3.5: Qwen3-Next's gated delta nets and gated attention with dense feed-forward networks, and the value heads of
/// its delta nets in another order.
/// Source: Qwen team 2026 (Qwen3.5).
public struct Qwen35: Architecture {
    public static let name = "qwen35"

    public let dimensions: Dimensions
    public let traits: Traits
    let blocks: Qwen35Blocks

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, layers: LayerLayouts.hybridDepths, predictionBlocks: true)
        traits = try Traits(decoder: &h, bidirectional: false, predictionBlocks: dimensions.predictionBlocks)
        blocks = try Qwen35Blocks(&h, dimensions)
    }

    public func build(_ g: GraphBuilder) {
        g.decoder(dimensions, blocks.normalization) { blocks.transform($0, $1, $2) }
    }
}

/// The blocks of Qwen3.5, and of what is made of it.
struct Qwen35Blocks: Sendable {
    let normalization: Normalization
    let mixers: DeltaNetHybrid
    let feedForward: Int

    init(_ h: inout some Hyperparameters, _ dimensions: Dimensions) throws {
        normalization = try Normalization(&h, .rms, inner: Scope.unitEpsilon)
        mixers = try DeltaNetHybrid(&h, dimensions, .inTurns, sections: true)
        feedForward = try h.feedForwardLength()
    }

    /// `[T, D] → [T, D]`
    /// - Parameter keepsKeys: see `DeltaNetHybrid.mix`.
    func transform(_ block: Scope, _ layer: Int, _ x: Value, keepsKeys: Bool = true) -> Value {
        let normed = block.norm("attn_norm", x, normalization)
        let x = x + mixers.mix(block, layer, normed, normalization, keepsKeys: keepsKeys)
        return x + block.feedForward(
            block.norm("post_attention_norm", x, normalization), size: feedForward, .gated(.swiglu))
    }
}
