import ModelGraph

/// GroveMoE: Qwen3 with experts in groups, each of which has a small expert of its own beside them: a token that uses
/// several of a group uses that one as often, with their weights.
/// Sources: Wu et al. 2025 (Grove MoE), section 3.2; the authors' `modeling_grove_moe.py`.
public struct GroveMoE: Architecture {
    public static let name = "grovemoe"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let experts: Experts
    let groupSize: Int
    /// Hidden units of a group's own expert, and what multiplies its output.
    let groupExpertSize: Int
    let groupScale: Double

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h)
        traits = try Traits(decoder: &h)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox, whole: true)
        try h.note("feed_forward_length", "every feed-forward network is an expert")
        experts = try Experts(&h, dimensions, Experts.Options(), feedForward: 0)
        let sizes = Domains.divisors(of: experts.count, among: [2, 1, 3, 4])
        groupSize = try h.integer("experts_per_group", 1...4096, fuzz: sizes, "experts of a group")
        try h.require(
            experts.count % groupSize == 0, "expert_count", "experts_per_group",
            because: "\(experts.count) experts do not make groups of \(groupSize)")
        groupExpertSize = try h.integer(
            "expert_chunk_feed_forward_length", 1...(1 << 20), fuzz: Domains.feedForward, default: attention.keySize,
            "hidden units of a group's own expert")
        groupScale = try h.real("expert_group_scale", 0...1e6, fuzz: [0.05, 0, 1, 0.5], "multiplies what it makes")
    }

    public func build(_ g: GraphBuilder) {
        let (rope, tensors) = (rotary.rope(), Scope.ExpertTensors())
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization))
            let mixed = block.cachedAttention(
                block.norm("attn_q_norm", q, normalization), block.norm("attn_k_norm", k, normalization), v,
                scale: attention.scale, mask: traits.mask, rope: rope)
            x = x + block.linear("attn_output", mixed, dimensions.embedding, bias: .rare)
            let normed = block.norm("ffn_norm", x, normalization)
            let routed = block.route(normed, experts, tensors)
            let groups = g.apply(.expertGroups(size: groupSize), routed.experts)
            x = x + block.mixture(normed, routed, count: experts.count, size: experts.size, tensors)
                + block.mixture(
                    normed, (groups, routed.weights), count: experts.count / groupSize, size: groupExpertSize, tensors,
                    suffix: "chexps") * groupScale
        }
        g.logits(x, dimensions, normalization)
    }
}
