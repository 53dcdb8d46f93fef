import ModelGraph

/// PLaMo 2: Mamba, with heads of one decay as Mamba-2 has, and some layers of grouped-query attention; SwiGLU; norms
/// before and after each part.
///
/// Time steps are made from `max(64, D/16)` elements, which no key says. Released models attend to the latest 2,048
/// positions only, which no key says either: here to all. Sources: Preferred Networks 2025; the authors'
/// `modeling_plamo.py` and their `plamo2.py` of vLLM.
public struct PLaMo2: Architecture {
    public static let name = "plamo2"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let taps: Int
    let inner: Int
    let stateSize: Int
    /// Of the state space model.
    let stateHeads: Int
    let feedForward: Int

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, layers: LayerLayouts.hybridDepths)
        traits = try Traits(decoder: &h, bidirectional: false)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions, otherLayers: true, headsOfLayers: true)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox)
        taps = try h.integer("ssm.conv_kernel", 2...64, fuzz: Domains.taps, "taps of the convolution")
        inner = try h.integer(
            "ssm.inner_size", 1...(1 << 20), fuzz: [64, 32, 96, 128, 48, 80, 33], "channels of the state space model")
        stateSize = try h.integer(
            "ssm.state_size", 1...4096, fuzz: [16, 64, 32, 1, 3, 33], "state elements of each channel")
        stateHeads = try h.integer(
            "ssm.time_step_rank", 1...65536, fuzz: Domains.divisors(of: inner), "heads of the state space model")
        try h.require(
            inner % stateHeads == 0, "ssm.inner_size", "ssm.time_step_rank",
            because: "\(inner) channels do not divide among \(stateHeads) heads")
        _ = try h.integer("ssm.group_count", 0...0, fuzz: [0], "0: all heads share B and C")
        feedForward = try h.feedForwardLength()
    }

    public func build(_ g: GraphBuilder) {
        let rope = rotary.rope()
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let normed = block.norm("attn_norm", x, normalization)
            let mixed = attention.keyValueHeads[layer] == 0
                ? scan(block, normed) : attend(block, layer, normed, rope)
            x = x + block.norm("post_attention_norm", mixed, normalization, suffix: "")
            let fed = block.fusedFeedForward(
                block.norm("ffn_norm", x, normalization), size: feedForward, .gated(.swiglu))
            x = x + block.norm("post_ffw_norm", fed, normalization, suffix: "")
        }
        g.logits(x, dimensions, normalization)
    }

    private func attend(_ block: Scope, _ layer: Int, _ x: Value, _ rope: Rope) -> Value {
        let (q, k, v) = attention.project(block, layer, x, fused: .always, bias: .none)
        /// Each head has scales of its own.
        func normed(_ name: String, _ heads: Value) -> Value {
            heads.norm(.rms, normalization.epsilon)
                * block.weight("\(name).weight", [heads.shape[1], heads.shape[2]], .scale)
        }
        let mixed = block.cachedAttention(
            normed("attn_q_norm", q), normed("attn_k_norm", k), v, scale: attention.scale, rope: rope)
        return block.linear("attn_output", mixed, dimensions.embedding)
    }

    private func scan(_ block: Scope, _ x: Value) -> Value {
        let g = block.g
        let (tokens, size, rank) = (x.shape[0], inner / stateHeads, max(64, dimensions.embedding / 16))
        // Gate and channels of each head lie together.
        let both = block.linear("ssm_in", x, 2 * inner).reshaped([tokens, stateHeads, 2 * size])
        let inputs = both.columns(size, size).reshaped([tokens, inner])
        let convolved = block.convolution("ssm_conv1d", inputs, taps: taps)(.silu)
        let selection = block.linear("ssm_x", convolved, 2 * stateSize + rank)
        func normed(_ name: String, _ start: Int, _ count: Int) -> Value {
            block.norm(name, selection.columns(start, count), normalization, suffix: "")
        }
        let step = block.linear("ssm_dt", normed("ssm_dt_norm", 2 * stateSize, rank), stateHeads)
            + block.weight("ssm_dt.bias", [stateHeads], .timeStepBias)
        let channels = convolved.reshaped([tokens, stateHeads, size])
        let scanned = g.apply(
            .selectiveScan(block.state("ssm_state", .recurrent, row: [stateHeads, size, stateSize])),
            channels, step, block.weight("ssm_a", [stateHeads], .decay).reshaped([stateHeads, 1]),
            normed("ssm_b_norm", 0, stateSize).reshaped([tokens, 1, stateSize]),
            normed("ssm_c_norm", stateSize, stateSize).reshaped([tokens, 1, stateSize]), g.slots)
        let y = scanned + channels * block.weight("ssm_d", [stateHeads], .scale).reshaped([stateHeads, 1])
        let gated = g.apply(.gated(.swiglu), both.columns(0, size), y)
        return block.linear("ssm_out", gated.reshaped([tokens, inner]), dimensions.embedding)
    }
}
