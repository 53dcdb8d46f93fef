import ModelGraph

/// Qwen3.5 with experts beside a gated shared one throughout.
/// Source: Qwen team 2026 (Qwen3.5).
public struct Qwen35MoE: Architecture {
    public static let name = "qwen35moe"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let mixers: DeltaNetHybrid
    let experts: GatedSharedExpert

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, layers: LayerLayouts.hybridDepths, predictionBlocks: true)
        traits = try Traits(decoder: &h, bidirectional: false, predictionBlocks: dimensions.predictionBlocks)
        normalization = try Normalization(&h, .rms, inner: Scope.unitEpsilon)
        mixers = try DeltaNetHybrid(&h, dimensions, .inTurns, sections: true)
        experts = try GatedSharedExpert(&h, dimensions, groups: true)
    }

    public func build(_ g: GraphBuilder) {
        g.decoder(dimensions, normalization) { block, layer, x in
            let x = x + mixers.mix(block, layer, block.norm("attn_norm", x, normalization), normalization)
            return x + experts.feed(block, block.norm("post_attention_norm", x, normalization))
        }
    }
}
