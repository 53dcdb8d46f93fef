import ModelGraph

/// MiniMax-M2: queries and keys normed across all heads and rotated in part, every feed-forward network a mixture of
/// experts chosen by a selection bias. The authors have sigmoid gates and no groups; the others are the format's.
/// Sources: MiniMax-M2 model card (2025); `MiniMaxM2ForCausalLM` of transformers.
public struct MiniMaxM2: Architecture {
    public static let name = "minimax-m2"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let experts: Experts

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h)
        traits = try Traits(decoder: &h)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox)
        let size = try h.feedForwardLength("hidden units of an expert")
        let expertSize = try h.integer(
            "expert_feed_forward_length", 1...(1 << 20), fuzz: [size], "the same: files have both")
        try h.require(
            expertSize == size, "expert_feed_forward_length", "feed_forward_length",
            because: "experts of \(expertSize) and of \(size) hidden units")
        var options = Experts.Options()
        options.gatings = [.sigmoid, .softmax, .softmaxOfSelected]
        options.declaresSize = false
        options.groups = true
        experts = try Experts(&h, dimensions, options, feedForward: size)
    }

    public func build(_ g: GraphBuilder) {
        let rope = rotary.rope()
        var tensors = Scope.ExpertTensors()
        tensors.selectionBias = .required
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization))
            let mixed = block.cachedAttention(
                block.normAcrossHeads("attn_q_norm", q, normalization),
                block.normAcrossHeads("attn_k_norm", k, normalization), v,
                scale: attention.scale, mask: traits.mask, rope: rope)
            x = x + block.linear("attn_output", mixed, dimensions.embedding)
            x = x + block.mixture(block.norm("ffn_norm", x, normalization), experts, tensors)
        }
        g.logits(x, dimensions, normalization, tying: .rarely)
    }
}
