import ModelGraph

/// Granite 4, dense, with low-rank adapters of all its linear maps, between which control tokens switch.
/// Source: `GraniteSwitchForCausalLM` of IBM's package granite-switch 0.1.0, the last whose switch is `SingleSwitch`, which
/// it is held against.
public struct GraniteSwitch: Architecture {
    public static let name = "graniteswitch"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    /// nil: there are no positions.
    let rope: Rope?
    let feedForward: Int
    let scales: ScaledDecoder.Scales
    let adapters: SwitchedAdapters

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h)
        traits = try Traits(decoder: &h, bidirectional: false)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions)
        let isRotated = try h.boolean(
            "rope.scaling.finetuned", among: [true, false], default: true, isRare: true, "whether there are positions")
        let rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .normal, whole: true)
        rope = isRotated ? rotary.rope() : nil
        feedForward = try h.feedForwardLength()
        for key in ["expert_count", "expert_used_count", "expert_shared_feed_forward_length"] {
            try h.note(key, "no block has experts")
        }
        scales = try ScaledDecoder.graniteScales(&h)
        adapters = try SwitchedAdapters(&h, dimensions)
    }

    public func build(_ g: GraphBuilder) {
        let table = g.model.weight("token_embd.weight", [dimensions.vocabulary, dimensions.embedding], .embedding)
        let chosen = adapters.chosen(g)
        var x = table.rows(adapters.embedded(g.tokens)) * scales.embedding
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            x = x + mix(block, layer, block.norm("attn_norm", x, normalization), chosen) * scales.residual
            let fed = block.norm("ffn_norm", x, normalization)
            let hidden = Activation.gated(.swiglu).hidden(
                gate: adapters.linear(block, "ffn_gate", fed, feedForward, chosen),
                up: adapters.linear(block, "ffn_up", fed, feedForward, chosen))
            x = x + adapters.linear(block, "ffn_down", hidden, dimensions.embedding, chosen) * scales.residual
        }
        g.logits(x, dimensions, normalization, scale: 1 / scales.logits)
    }

    private func mix(_ block: Scope, _ layer: Int, _ x: Value, _ chosen: Value) -> Value {
        func adapted(_ name: String, _ heads: Value) -> Value {
            heads + adapters.added(block, name, x, heads.shape[1] * heads.shape[2], chosen).reshaped(heads.shape)
        }
        let (q, k, v) = attention.project(block, layer, x, fused: .always, bias: .none)
        let mixed = block.cachedAttention(
            adapted("attn_q", q), adapted("attn_k", k), adapted("attn_v", v),
            scale: scales.attention ?? attention.scale,
            rope: rope)
        return adapters.linear(block, "attn_output", mixed, dimensions.embedding, chosen)
    }
}
