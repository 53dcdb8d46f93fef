import ModelGraph

/// Command R and Aya: attention and feed-forward network side by side on one norm, norms without biases, scaled logits;
/// in Command R+, heads are normed with weights of their own.
/// Source: its class in transformers (Cohere 2024).
public struct CommandR: Architecture {
    public static let name = "command-r"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let feedForward: Int
    let logitScale: Double

    public init(_ h: inout some Hyperparameters) throws {
        // To where engines take it for Command R+, in a few narrow models.
        dimensions = try Dimensions(&h, embeddings: Domains.evenSizes + [8], layers: [1, 2, 3, 4, 64])
        traits = try Traits(decoder: &h)
        normalization = try Normalization(&h, .layer)
        attention = try GroupedQueryAttention(&h, dimensions, headSize: .splitEmbedding)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .normal)
        feedForward = try h.feedForwardLength()
        logitScale = try h.real("logit_scale", 1e-6...1e6, fuzz: [0.0625, 1, 2.5], default: 1, "multiplies the logits")
    }

    public func build(_ g: GraphBuilder) {
        let rope = rotary.rope()
        let normsHeads: GraphBuilder.Presence = dimensions.layers < 64 ? .few : .most
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let normed = block.norm("attn_norm", x, normalization)
            let (q, k, v) = attention.project(block, layer, normed)
            let mixed = block.cachedAttention(
                block.optionalNormOfHeads("attn_q_norm", q, normalization, presence: normsHeads),
                block.optionalNormOfHeads("attn_k_norm", k, normalization, presence: normsHeads), v,
                scale: attention.scale, mask: traits.mask, rope: rope)
            x = x + block.linear("attn_output", mixed, dimensions.embedding, bias: .rare)
                + block.feedForward(normed, size: feedForward, .gated(.swiglu))
        }
        g.logits(x, dimensions, normalization, tying: .always, scale: logitScale)
    }
}
