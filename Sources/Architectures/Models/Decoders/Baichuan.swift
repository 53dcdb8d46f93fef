import ModelGraph

/// Baichuan 1 and 2: Llama, whose positions no key says: the model of 32 layers (7B) has RoPE, that of 40 (13B) linear
/// biases of the attention scores (ALiBi), others have none.
///
/// Baichuan 2 norms the rows of the output's matrix; files hold them as they are to be used.
/// Sources: Yang et al. 2023, section 2; the two sizes' `modeling_baichuan.py`.
public struct Baichuan: Architecture {
    public static let name = "baichuan"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let feedForward: Int

    public init(_ h: inout some Hyperparameters) throws {
        // Narrow ones, which may be as deep as those that have positions.
        dimensions = try Dimensions(&h, embeddings: [32, 8, 12, 16, 64, 96, 40, 128], layers: [32, 40, 1, 2])
        traits = try Traits(decoder: &h)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions, headSize: .splitEmbedding, grouping: .rarely)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .normal, whole: true)
        feedForward = try h.feedForwardLength()
    }

    public func build(_ g: GraphBuilder) {
        let rope = dimensions.layers == 32 ? rotary.rope() : nil
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization))
            let mixed = block.cachedAttention(
                q, k, v, scale: attention.scale, mask: traits.mask, rope: rope,
                bias: dimensions.layers == 40 ? g.alibi(heads: attention.heads[layer], maxBias: 8) : nil)
            x = x + block.linear("attn_output", mixed, dimensions.embedding)
            x = x + block.feedForward(block.norm("ffn_norm", x, normalization), size: feedForward, .gated(.swiglu))
        }
        g.logits(x, dimensions, normalization, tying: .never)
    }
}
