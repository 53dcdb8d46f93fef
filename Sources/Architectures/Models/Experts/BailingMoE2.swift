import ModelGraph

/// Ling 2.0 and Ring 2.0: normed queries and keys, rotated in part; leading dense layers, then experts chosen by a
/// selection bias, in groups, beside a shared one. The weight of an expert that is used alone is not normalised.
/// Sources: Ling 2.0 technical report (2025), section 2; the authors' `modeling_bailing_moe_v2.py`.
public struct BailingMoE2: Architecture {
    public static let name = "bailingmoe2"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let leadingDense: Int
    let feedForward: Int
    let experts: Experts
    /// Hidden units of the shared experts together.
    let sharedSize: Int

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, embeddings: Domains.evenSizes, predictionBlocks: true)
        traits = try Traits(decoder: &h, predictionBlocks: dimensions.predictionBlocks)
        normalization = try Normalization(&h, .rms)
        // All released models' do, and engines know no others.
        attention = try GroupedQueryAttention(&h, dimensions, headSize: .splitEmbedding)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox)
        leadingDense = try h.leadingDenseBlocks(dimensions)
        feedForward = try h.feedForwardLength("hidden units of a dense block")
        var options = Experts.Options.deepSeek3
        options.normalizesSingle = false
        experts = try Experts(&h, dimensions, options, feedForward: 0)
        let count = try h.integer("expert_shared_count", 1...4096, fuzz: [1, 2, 3], "experts that every token uses")
        sharedSize = count * (try h.integer(
            "expert_shared_feed_forward_length", 1...(1 << 20), fuzz: Domains.feedForward, default: experts.size,
            "hidden units of such an expert"))
    }

    public func build(_ g: GraphBuilder) {
        g.decoder(dimensions, normalization, tying: .rarely, outputNorm: "layer_output_norm") { transform($0, $1, $2) }
    }

    /// One block: `[T, D] → [T, D]`.
    private func transform(_ block: Scope, _ layer: Int, _ x: Value) -> Value {
        let (q, k, v) = attention.project(
            block, layer, block.norm("attn_norm", x, normalization), fused: .always, bias: .rare)
        let mixed = block.cachedAttention(
            block.norm("attn_q_norm", q, normalization), block.norm("attn_k_norm", k, normalization), v,
            scale: attention.scale, mask: traits.mask, rope: rotary.rope())
        let x = x + block.linear("attn_output", mixed, dimensions.embedding, bias: .rare)
        let normed = block.norm("ffn_norm", x, normalization)
        guard layer >= leadingDense else { return x + block.feedForward(normed, size: feedForward, .gated(.swiglu)) }
        var tensors = Scope.ExpertTensors()
        tensors.selectionBias = .usual
        return x + block.mixture(normed, experts, tensors)
            + block.feedForward(normed, size: sharedSize, .gated(.swiglu), suffix: "_shexp")
    }
}
