import ModelGraph

/// Gemma: embeddings times the root of their length, heads of any size, GeGLU. Norms' weights are stored with the 1 that
/// the authors' code adds to them.
/// Sources: Gemma (2024), section 2; `GemmaForCausalLM` of transformers, which the authors maintain.
public struct Gemma: Architecture {
    public static let name = "gemma"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let feedForward: Int

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h)
        traits = try Traits(decoder: &h)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox)
        feedForward = try h.feedForwardLength()
    }

    public func build(_ g: GraphBuilder) {
        let rope = rotary.rope()
        var x = g.tokenEmbedding(dimensions) * Double(dimensions.embedding).squareRoot()
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization))
            let mixed = block.cachedAttention(q, k, v, scale: attention.scale, mask: traits.mask, rope: rope)
            x = x + block.linear("attn_output", mixed, dimensions.embedding, bias: .rare)
            x = x + block.feedForward(block.norm("ffn_norm", x, normalization), size: feedForward, .gated(.geglu))
        }
        g.logits(x, dimensions, normalization, tying: .always)
    }
}
