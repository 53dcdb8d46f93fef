import ModelGraph

/// RWKV-7: time mixing by a generalised delta rule, channel mixing by a squared ReLU, no attention.
/// Source: Peng et al. 2025 ("Goose"), section 4.
public struct RWKV7: Architecture {
    public static let name = "rwkv7"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let headSize: Int
    /// Inner widths of the low-rank maps.
    let ranks: (decay: Int, rate: Int, value: Int, gate: Int)
    let feedForward: Int

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, embeddings: [64, 32, 96, 128, 192, 33, 40, 63, 65, 120])
        traits = try Traits(decoder: &h, bidirectional: false)
        normalization = try Normalization(&h, .layer, bias: .required)
        try h.note("attention.head_count", "no attention, no heads")
        headSize = try h.integer(
            "wkv.head_size", 1...4096, fuzz: Domains.divisors(of: dimensions.embedding, among: [64, 32, 16, 8, 33, 40, 63, 65, 128]),
            "size of a head")
        try h.require(
            dimensions.embedding % headSize == 0, "embedding_length", "wkv.head_size",
            because: "a width of \(dimensions.embedding) does not divide among heads of \(headSize)")
        func rank(_ name: String, _ about: String) throws -> Int {
            try h.integer("attention.\(name)_lora_rank", 1...65536, fuzz: [16, 1, 3, 8, 32, 33], "inner width of the map to \(about)")
        }
        ranks = (
            try rank("decay", "decays"), try rank("iclr", "in-context learning rates"),
            try rank("value_residual_mix", "shares of the first layer's values"), try rank("gate", "gates")
        )
        _ = try h.integer("token_shift_count", 2...2, fuzz: [2], default: 2, "token shifts of a block")
        feedForward = try h.feedForwardLength("hidden units of channel mixing")
    }

    public func build(_ g: GraphBuilder) {
        var x = g.model.norm("token_embd_norm", g.tokenEmbedding(dimensions), normalization)
        var firstValues: Value?
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            x = x + mixTime(block, block.norm("attn_norm", x, normalization), &firstValues)
            x = x + mixChannels(block, block.norm("attn_norm_2", x, normalization))
        }
        g.logits(x, dimensions, normalization, tying: .never)
    }

    /// The difference of each token's input to that of the token before.
    private func shift(_ block: Scope, _ x: Value, _ name: String) -> Value {
        let previous = block.state(name, .recurrent, row: [dimensions.embedding])
        return block.g.apply(.tokenShift(previous), x, block.g.slots) - x
    }

    private func mixTime(_ block: Scope, _ x: Value, _ firstValues: inout Value?) -> Value {
        let (tokens, width) = (x.shape[0], dimensions.embedding)
        let headed: Shape = [tokens, width / headSize, headSize]
        func vector(_ name: String, _ role: Weight.Role) -> Value { block.weight("time_mix_\(name).weight", [width], role) }
        func lowRank(_ name: String, _ x: Value, _ rank: Int, _ inner: (Value) -> Value = { $0 }) -> Value {
            block.linear("time_mix_\(name)2", inner(block.linear("time_mix_\(name)1", x, rank)), width)
        }

        let delta = shift(block, x, "time_mix_previous")
        let blends = block.weight("time_mix_lerp_fused.weight", [6, 1, 1, width], .blend).reshaped([6, width])
        let inputs = (0..<6).map { x + delta * blends.slice(0, $0, 1) }

        let r = block.linear("time_mix_receptance", inputs[0], width)
        let w = ((lowRank("w", inputs[1], ranks.decay) { $0(.tanh) } + vector("w0", .bias))(.sigmoid) * Self.decayScale)(.exp)
        let key = block.linear("time_mix_key", inputs[2], width)
        var v = block.linear("time_mix_value", inputs[3], width)
        // The first layer has these tensors too, of another rank, and does not use them.
        let residual = lowRank("v", inputs[3], firstValues == nil ? ranks.rate : ranks.value) + vector("v0", .bias)
        if let first = firstValues { v = v + (first - v) * residual(.sigmoid) } else { firstValues = v }
        let rate = (lowRank("a", inputs[4], ranks.rate) + vector("a0", .bias))(.sigmoid)
        let gate = lowRank("g", inputs[5], ranks.gate) { $0(.sigmoid) }

        let removed = (key * vector("k_k", .scale)).reshaped(headed).norm(.unit, Self.keyEpsilon)
        let scaled = key * vector("k_a", .scale)
        let k = key + (rate * scaled - scaled)
        let (rh, kh, vh) = (r.reshaped(headed), k.reshaped(headed), v.reshaped(headed))
        let memory = block.state("wkv_state", .recurrent, row: [width / headSize, headSize, headSize])
        let recalled = block.g.apply(
            .wkv7(memory), rh, w.reshaped(headed), kh, vh, -removed, removed * rate.reshaped(headed), block.g.slots)

        let normed = recalled.norm(.layer, Self.headEpsilon).reshaped([tokens, width])
            * block.weight("time_mix_ln.weight", [width], .scale) + block.weight("time_mix_ln.bias", [width], .bias)
        let bonus = vh * (kh * rh * vector("r_k", .scale).reshaped([width / headSize, headSize])).sum(2)
        return block.linear("time_mix_output", (normed + bonus.reshaped([tokens, width])) * gate, width)
    }

    private func mixChannels(_ block: Scope, _ x: Value) -> Value {
        let blend = block.weight("channel_mix_lerp_k.weight", [1, 1, dimensions.embedding], .blend)
        let blended = x + shift(block, x, "channel_mix_previous") * blend.reshaped([dimensions.embedding])
        return block.linear(
            "channel_mix_value", block.linear("channel_mix_key", blended, feedForward)(.squaredReLU), dimensions.embedding)
    }

    /// `−1/√e`, in the digits that the authors' code has.
    private static let decayScale = -0.606531
    /// Least length of a removal key.
    private static let keyEpsilon = 1e-12
    /// Added to the variance of each head's result: 1e-5 times 64, the head size of released models.
    private static let headEpsilon = 64e-5
}
