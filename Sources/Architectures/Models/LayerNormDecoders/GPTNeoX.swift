import ModelGraph

/// GPT-NeoX and Pythia: attention and feed-forward network side by side with a norm each, or one after the other; RoPE
/// of a part of each head, biases throughout, GELU.
///
/// No key says which GELU: it is the exact one, which Pythia's configurations name; GPT-NeoX-20B has the other.
/// Sources: Black et al. 2022, section 2; its class in transformers.
public struct GPTNeoX: Architecture {
    public static let name = "gptneox"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let feedForward: Int
    let isParallel: Bool

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, embeddings: Domains.evenSizes)
        traits = try Traits(decoder: &h)
        normalization = try Normalization(&h, .layer, bias: .required)
        attention = try GroupedQueryAttention(&h, dimensions, headSize: .splitEmbedding, grouping: .rarely)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox)
        feedForward = try h.feedForwardLength()
        isParallel = try h.boolean(
            "use_parallel_residual", among: [true, false],
            "whether the feed-forward network does not see what attention adds")
    }

    public func build(_ g: GraphBuilder) {
        let rope = rotary.rope()
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let (q, k, v) = attention.project(
                block, layer, block.norm("attn_norm", x, normalization), fused: .always, bias: .usual)
            let mixed = block.cachedAttention(q, k, v, scale: attention.scale, mask: traits.mask, rope: rope)
            let attended = x + block.linear("attn_output", mixed, dimensions.embedding, bias: .usual)
            let normed = block.norm("ffn_norm", isParallel ? x : attended, normalization)
            x = attended + block.feedForward(normed, size: feedForward, .plain(.geluErf), bias: .required)
        }
        g.logits(x, dimensions, normalization, tying: .rarely)
    }
}
