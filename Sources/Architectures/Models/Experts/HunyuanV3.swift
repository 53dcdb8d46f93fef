import ModelGraph

/// Hunyuan 3: normed queries and keys; each layer dense, or with experts chosen by a selection bias beside a shared
/// one, as its tensors say. Source: `HYV3ForCausalLM` of transformers (2026).
public struct HunyuanV3: Architecture {
    public static let name = "hy_v3"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let feedForward: Int
    let experts: Experts
    let sharedSize: Int

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, predictionBlocks: true)
        traits = try Traits(decoder: &h, predictionBlocks: dimensions.predictionBlocks)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox, whole: true)
        feedForward = try h.feedForwardLength("hidden units of a dense block")
        var options = Experts.Options.deepSeek3
        options.defaultGating = .sigmoid
        experts = try Experts(&h, dimensions, options, feedForward: 0)
        sharedSize = try h.integer(
            "expert_shared_feed_forward_length", 1...(1 << 20), fuzz: Domains.feedForward, default: experts.size,
            "hidden units of the expert that every token uses")
        try h.note("leading_dense_block_count", "the dense blocks, as their tensors say it")
    }

    public func build(_ g: GraphBuilder) { g.decoder(dimensions, normalization) { transform($0, $1, $2) } }

    /// One block: `[T, D] → [T, D]`.
    private func transform(_ block: Scope, _ layer: Int, _ x: Value) -> Value {
        let (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization))
        let mixed = block.cachedAttention(
            block.norm("attn_q_norm", q, normalization), block.norm("attn_k_norm", k, normalization), v,
            scale: attention.scale, mask: traits.mask, rope: rotary.rope())
        let x = x + block.linear("attn_output", mixed, dimensions.embedding, bias: .rare)
        let normed = block.norm("ffn_norm", x, normalization)
        guard block.hasExperts else { return x + block.feedForward(normed, size: feedForward, .gated(.swiglu)) }
        var tensors = Scope.ExpertTensors()
        tensors.selectionBias = .usual
        tensors.selectionBiasName = "exp_probs_b"
        tensors.mayFuseGateUp = true
        return x + block.mixture(normed, experts, tensors)
            + block.feedForward(normed, size: sharedSize, .gated(.swiglu), suffix: "_shexp")
    }
}
