import ModelGraph

/// OLMo: Llama with layer norms that have no weights, and with queries, keys and values that may be clamped.
/// Source: Groeneveld et al. 2024, section 2.1.
public struct OLMo: Architecture {
    public static let name = "olmo"

    public let dimensions: Dimensions
    public let traits: Traits
    let epsilon: Double
    let attention: GroupedQueryAttention
    let clamped: ClampedProjections
    let rotary: RotaryEmbedding
    let feedForward: Int

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, embeddings: Domains.evenSizes)
        traits = try Traits(decoder: &h)
        epsilon = try Normalization(&h, .layer).epsilon
        attention = try GroupedQueryAttention(&h, dimensions, headSize: .splitEmbedding)
        clamped = try ClampedProjections(&h)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .normal, whole: true)
        feedForward = try h.feedForwardLength()
    }

    public func build(_ g: GraphBuilder) {
        let rope = rotary.rope()
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let (q, k, v) = clamped(attention.project(block, layer, x.norm(.layer, epsilon)))
            let mixed = block.cachedAttention(q, k, v, scale: attention.scale, mask: traits.mask, rope: rope)
            x = x + block.linear("attn_output", mixed, dimensions.embedding, bias: .rare)
            x = x + block.feedForward(x.norm(.layer, epsilon), size: feedForward, .gated(.swiglu))
        }
        g.logits(x, dimensions) { $0.norm(.layer, epsilon) }
    }
}
