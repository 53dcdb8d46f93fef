import ModelGraph

/// RWKV-6: time mixing by linear attention of token-dependent decays and a bonus for the token itself, channel mixing
/// by a squared ReLU behind a gate, no attention. Source: Peng et al. 2024 ("Eagle and Finch"), section 4; for halving,
/// the code of its author.
public struct RWKV6: Architecture {
    public static let name = "rwkv6"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let timeMixing: DynamicTimeMixing
    /// After every so many blocks the residual stream is halved, as the weights of the blocks are that follow; 0:
    /// never.
    let halvingInterval: Int
    let feedForward: Int

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(ofHeadedWidth: &h)
        traits = try Traits(decoder: &h, bidirectional: false)
        normalization = try Normalization(&h, .layer, bias: .required)
        timeMixing = try DynamicTimeMixing(&h, dimensions)
        halvingInterval = try h.integer(
            "rescale_every_n_layers", 0...512, fuzz: [0, 1, 2, 6], default: 0,
            "blocks after which the stream is halved; 0: never")
        _ = try h.integer("token_shift_count", 2...2, fuzz: [2], default: 2, "token shifts of a block")
        feedForward = try h.feedForwardLength("hidden units of channel mixing")
    }

    public func build(_ g: GraphBuilder) {
        var x = g.model.norm("token_embd_norm", g.tokenEmbedding(dimensions), normalization)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            x = x + mixTime(block, block.norm("attn_norm", x, normalization))
            x = x + mixChannels(block, block.norm("attn_norm_2", x, normalization))
            if halvingInterval > 0, (layer + 1) % halvingInterval == 0 { x = x * 0.5 }
        }
        g.logits(x, dimensions, normalization, tying: .never)
    }

    private func mixTime(_ block: Scope, _ x: Value) -> Value {
        let width = dimensions.embedding
        let inputs = timeMixing.inputs(block, x, mayBeApart: true)
        func projected(_ name: String, _ input: Value) -> Value {
            timeMixing.headed(block.linear("time_mix_\(name)", input, width))
        }
        let (r, k, v) = (
            projected("receptance", inputs.receptance), projected("key", inputs.key), projected("value", inputs.value)
        )
        let heads = r.shape[1]
        let recalled = block.g.apply(
            .linearAttention(timeMixing.memory(block, heads: heads), scale: 1, bonus: true), r, k, v,
            timeMixing.decay(block, inputs.decay),
            block.weight("time_mix_first.weight", [heads, timeMixing.headSize], .scale), block.g.slots)
        let gate = block.linear("time_mix_gate", inputs.gate, width)
        return block.linear(
            "time_mix_output", block.g.apply(.gated(.swiglu), gate, block.headNorm("time_mix_ln", recalled)), width)
    }

    private func mixChannels(_ block: Scope, _ x: Value) -> Value {
        let width = dimensions.embedding
        let delta = block.tokenShift(x, "channel_mix_previous")
        func blended(_ name: String) -> Value {
            x + delta * block.weight("channel_mix_lerp_\(name).weight", [width], .blend)
        }
        let hidden = block.linear("channel_mix_key", blended("k"), feedForward)(.squaredReLU)
        return block.linear("channel_mix_value", hidden, width)
            * block.linear("channel_mix_receptance", blended("r"), width)(.sigmoid)
    }
}
