import ModelGraph

/// gpt-oss: attention sinks, windows in every other layer, biases everywhere, clamped SwiGLU experts.
///
/// The ends of YaRN's ramp are not rounded: the released models' configurations say so, and files do not.
/// Sources: gpt-oss model card (2025), section 2; OpenAI's `gpt_oss/torch/model.py`.
public struct GPTOSS: Architecture {
    public static let name = "gpt-oss"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding.Windowed
    let windows: WindowPattern
    let experts: Experts

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h)
        traits = try Traits(decoder: &h, bidirectional: false)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions)
        rotary = try RotaryEmbedding.Windowed(
            &h, RotaryEmbedding(
                &h, dimensions, headSize: attention.keySize, pairing: .neox, whole: true, roundsRamp: false))
        let window = try h.integer(
            "attention.sliding_window", 1...(1 << 30), fuzz: WindowPattern.lengths, "positions that a window holds")
        windows = try WindowPattern(&h, dimensions, window: .sliding(window), period: 2)
        var options = Experts.Options()
        options.gatings = [.softmaxOfSelected]
        options.normalizes = false
        options.groups = true
        experts = try Experts(&h, dimensions, options, feedForward: 0)
        try h.note("feed_forward_length", "every feed-forward network is an expert")
    }

    public func build(_ g: GraphBuilder) {
        var tensors = Scope.ExpertTensors()
        tensors.activation = .gated(.clampedSwiGLU(alpha: 1.702, limit: 7))
        tensors.bias = .required
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let rope = rotary.rope(isWindowed: windows.isWindowed(layer))
            let (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization))
            let mixed = block.cachedAttention(
                q, k, v, scale: attention.scale, mask: windows.masks[layer], rope: rope,
                sinks: block.weight("attn_sinks.weight", [attention.heads[layer]], .sink))
            x = x + block.linear("attn_output", mixed, dimensions.embedding, bias: .usual)
            x = x + block.mixture(block.norm("post_attention_norm", x, normalization), experts, tensors)
        }
        g.logits(x, dimensions, normalization, tying: .rarely)
    }
}
