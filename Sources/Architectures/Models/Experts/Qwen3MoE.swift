import ModelGraph

/// Qwen3 with experts: RMS-normed queries and keys, every feed-forward network a mixture of experts.
/// Source: Qwen3 technical report (2025), section 2.
public struct Qwen3MoE: Architecture {
    public static let name = "qwen3moe"
    let decoder: Qwen3MoEDecoder
    public var dimensions: Dimensions { decoder.dimensions }
    public var traits: Traits { decoder.traits }

    public init(_ h: inout some Hyperparameters) throws { decoder = try Qwen3MoEDecoder(&h) }
    public func build(_ g: GraphBuilder) { decoder.build(g) }
}

/// What Qwen3's sparse models of texts and images share.
struct Qwen3MoEDecoder: Sendable {
    let dimensions: Dimensions
    let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let experts: Experts

    /// Blocks after which embeddings of images add more.
    let deepStack: Int

    /// - Parameters:
    ///   - sections: of the positions.
    ///   - hasDeepStack: whether embeddings of images may add more after some blocks.
    init(_ h: inout some Hyperparameters, sections: PositionSections? = nil, hasDeepStack: Bool = false) throws {
        dimensions = try Dimensions(&h)
        traits = try Traits(decoder: &h, takesEmbeddings: true)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions)
        rotary = try RotaryEmbedding(
            &h, dimensions, headSize: attention.keySize, pairing: .neox, whole: true, sections: sections)
        let feedForward = try h.integer(
            "feed_forward_length", 0...(1 << 20), fuzz: Domains.feedForward, default: 0,
            "hidden units of the experts used, together")
        var options = Experts.Options()
        options.sharesSize = true
        options.groups = true
        experts = try Experts(&h, dimensions, options, feedForward: feedForward)
        deepStack = hasDeepStack ? try h.deepStack(layers: dimensions.layers) : 0
    }

    func build(_ g: GraphBuilder) {
        let rope = rotary.rope()
        var x = g.tokenEmbedding(dimensions, deepStack: deepStack)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization))
            let mixed = block.cachedAttention(
                block.norm("attn_q_norm", q, normalization), block.norm("attn_k_norm", k, normalization), v,
                scale: attention.scale, mask: traits.mask, rope: rope)
            x = x + block.linear("attn_output", mixed, dimensions.embedding, bias: .rare)
            x = x + block.mixture(block.norm("ffn_norm", x, normalization), experts, .init())
            x = g.addingDeepStack(x, deepStack, after: layer)
        }
        g.logits(x, dimensions, normalization)
    }
}
