import ModelGraph

/// GLM-4.5 to 4.7, Solar Open: heads rotated in part, normed or not; leading dense layers, then experts chosen by a
/// selection bias, in groups, beside shared ones.
/// Sources: GLM-4.5 technical report (2025), section 2.1; `Glm4MoeForCausalLM` of transformers.
public struct GLM4MoE: Architecture {
    public static let name = "glm4moe"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let leadingDense: Int
    let feedForward: Int
    let experts: Experts
    let shared: SharedExperts

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, predictionBlocks: true)
        traits = try Traits(decoder: &h, predictionBlocks: dimensions.predictionBlocks)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox)
        leadingDense = try h.leadingDenseBlocks(dimensions)
        feedForward = try h.feedForwardLength("hidden units of a dense block")
        var options = Experts.Options.deepSeek3
        options.defaultGating = .sigmoid
        experts = try Experts(&h, dimensions, options, feedForward: 0)
        shared = try SharedExperts(&h, beside: experts, .count)
    }

    public func build(_ g: GraphBuilder) { g.decoder(dimensions, normalization) { transform($0, $1, $2) } }

    /// One block: `[T, D] → [T, D]`.
    private func transform(_ block: Scope, _ layer: Int, _ x: Value) -> Value {
        var (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization))
        // GLM-4.5 has these norms, GLM-4.5-Air has not.
        if block.has("attn_q_norm.weight") {
            (q, k) = (block.norm("attn_q_norm", q, normalization), block.norm("attn_k_norm", k, normalization))
        }
        let mixed = block.cachedAttention(q, k, v, scale: attention.scale, mask: traits.mask, rope: rotary.rope())
        let x = x + block.linear("attn_output", mixed, dimensions.embedding)
        let normed = block.norm("post_attention_norm", x, normalization)
        guard layer >= leadingDense else { return x + block.feedForward(normed, size: feedForward, .gated(.swiglu)) }
        var tensors = Scope.ExpertTensors()
        tensors.selectionBias = .required
        return x + block.mixture(normed, experts, tensors)
            + block.sharedExperts(normed, shared)
    }
}
