import ModelGraph

/// RWKV-7: time mixing by a generalised delta rule, channel mixing by a squared ReLU, no attention.
/// Source: Peng et al. 2025 ("Goose"), section 4.
public struct RWKV7: Architecture {
    public static let name = "rwkv7"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let timeMixing: GeneralisedDeltaRule
    let feedForward: Int

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(ofHeadedWidth: &h)
        traits = try Traits(decoder: &h, bidirectional: false)
        normalization = try Normalization(&h, .layer, bias: .required)
        timeMixing = try GeneralisedDeltaRule(&h, dimensions)
        _ = try h.integer("token_shift_count", 2...2, fuzz: [2], default: 2, "token shifts of a block")
        feedForward = try h.feedForwardLength("hidden units of channel mixing")
    }

    public func build(_ g: GraphBuilder) {
        var x = g.model.norm("token_embd_norm", g.tokenEmbedding(dimensions), normalization)
        var firstValues: Value?
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            x = x + timeMixing.mix(block, block.norm("attn_norm", x, normalization), &firstValues)
            x = x + mixChannels(block, block.norm("attn_norm_2", x, normalization))
        }
        g.logits(x, dimensions, normalization, tying: .never)
    }

    private func mixChannels(_ block: Scope, _ x: Value) -> Value {
        let blend = block.weight("channel_mix_lerp_k.weight", [1, 1, dimensions.embedding], .blend)
        let blended = x + block.tokenShift(x, "channel_mix_previous") * blend.reshaped([dimensions.embedding])
        return block.linear(
            "channel_mix_value", block.linear("channel_mix_key", blended, feedForward)(.squaredReLU),
            dimensions.embedding)
    }
}
