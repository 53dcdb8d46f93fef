import ModelGraph

/// BitNet b1.58: Llama with one more norm before the last matrix of attention and of the feed-forward network; matrices
/// of −1, 0 and 1, whose scale may be a tensor of its own.
///
/// The activation is SwiGLU, as in the paper; BitNet b1.58 2B4T has a squared ReLU in its place, which no key says.
/// Activations are not rounded here: that belongs to a device's arithmetic.
/// Source: Wang et al. 2023; Ma et al. 2024, section 2.
public struct BitNet: Architecture {
    public static let name = "bitnet"

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
        attention = try GroupedQueryAttention(&h, dimensions, headSize: .splitEmbedding)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox)
        feedForward = try h.feedForwardLength()
    }

    public func build(_ g: GraphBuilder) {
        let rope = rotary.rope()
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let (q, k, v) = project(block, layer, block.norm("attn_norm", x, normalization))
            let mixed = block.cachedAttention(q, k, v, scale: attention.scale, mask: traits.mask, rope: rope)
            let normed = block.norm("attn_sub_norm", mixed, normalization)
            x = x + scaled(block, "attn_output", normed, dimensions.embedding)
            x = x + feed(block, block.norm("ffn_norm", x, normalization))
        }
        g.logits(x, dimensions, normalization, tying: .always)
    }

    private func project(_ block: Scope, _ layer: Int, _ x: Value) -> (queries: Value, keys: Value, values: Value) {
        func heads(_ name: String, _ count: Int) -> Value {
            scaled(block, name, x, count * attention.keySize).reshaped([x.shape[0], count, attention.keySize])
        }
        let groups = attention.keyValueHeads[layer]
        return (heads("attn_q", attention.heads[layer]), heads("attn_k", groups), heads("attn_v", groups))
    }

    private func feed(_ block: Scope, _ x: Value) -> Value {
        let hidden = block.g.apply(
            .gated(.swiglu), scaled(block, "ffn_gate", x, feedForward), scaled(block, "ffn_up", x, feedForward))
        return scaled(block, "ffn_down", block.norm("ffn_sub_norm", hidden, normalization), dimensions.embedding)
    }

    /// A product with a matrix, and with its scale where that is a tensor of its own.
    private func scaled(_ block: Scope, _ name: String, _ x: Value, _ outputs: Int) -> Value {
        let product = block.linear(name, x, outputs)
        return block.optionalWeight("\(name).scale", [1], .scale).map { product * $0 } ?? product
    }
}
