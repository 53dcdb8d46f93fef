import ModelGraph

/// CodeShell: layer norms, biases throughout (in files, those of queries, keys and values may be missing), RoPE, GELU. A
/// file may hold one matrix for embeddings and output by either name.
/// Sources: Xie et al. 2024, section 2; WisdomShell's `modeling_codeshell.py`.
public struct CodeShell: Architecture {
    public static let name = "codeshell"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let feedForward: Int

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, embeddings: Domains.evenSizes)
        traits = try Traits(decoder: &h)
        normalization = try Normalization(&h, .layer, bias: .required)
        attention = try GroupedQueryAttention(&h, dimensions, headSize: .splitEmbedding)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox, whole: true)
        feedForward = try h.feedForwardLength()
    }

    public func build(_ g: GraphBuilder) {
        let rope = rotary.rope()
        var x = embedding(g).rows(g.tokens)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization))
            let mixed = block.cachedAttention(q, k, v, scale: attention.scale, mask: traits.mask, rope: rope)
            x = x + block.linear("attn_output", mixed, dimensions.embedding, bias: .required)
            x = x + block.feedForward(
                block.norm("ffn_norm", x, normalization), size: feedForward, .plain(.gelu), bias: .required)
        }
        g.logits(x, dimensions, normalization, tying: .never)
    }

    private func embedding(_ g: GraphBuilder) -> Value {
        let shape: Shape = [dimensions.vocabulary, dimensions.embedding]
        return g.model.optionalWeight("token_embd.weight", shape, .embedding, presence: .most)
            ?? g.model.weight("output.weight", shape, .projection)
    }
}
