import ModelGraph

/// Qwen: Llama with biases of queries, keys and values; the feed-forward length counts hidden units of gate and input.
///
/// What the authors do beyond the context trained on (a larger base, queries scaled by its logarithm) files do not say.
/// Sources: Bai et al. 2023, section 2.3; `modeling_qwen.py`.
public struct Qwen: Architecture {
    public static let name = "qwen"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let feedForward: Int

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, embeddings: Domains.evenSizes)
        traits = try Traits(decoder: &h)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions, headSize: .splitEmbedding, grouping: .never)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox)
        let doubled = try h.integer(
            "feed_forward_length", 2...(1 << 20), fuzz: Domains.feedForward.map { 2 * $0 },
            "hidden units of a feed-forward network, twice")
        try h.require(doubled % 2 == 0, "feed_forward_length", because: "\(doubled) is not twice anything")
        feedForward = doubled / 2
    }

    public func build(_ g: GraphBuilder) {
        let rope = rotary.rope()
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let (q, k, v) = attention.project(
                block, layer, block.norm("attn_norm", x, normalization), fused: .always, bias: .required)
            let mixed = block.cachedAttention(q, k, v, scale: attention.scale, mask: traits.mask, rope: rope)
            x = x + block.linear("attn_output", mixed, dimensions.embedding)
            x = x + block.feedForward(block.norm("ffn_norm", x, normalization), size: feedForward, .gated(.swiglu))
        }
        g.logits(x, dimensions, normalization, tying: .never)
    }
}
