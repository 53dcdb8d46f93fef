import ModelGraph

/// The backbone of Pocket TTS, whose last hidden states a flow network turns into audio latents: a decoder with layer
/// norms, the exact GELU, and no biases but those of norms, though files may have them for queries, keys and values. Its
/// logits are of the token embedding and mean nothing.
/// Sources: CALM (2025), section 3; Kyutai's pocket-tts, `FlowLMModel` and `StreamingTransformerLayer`.
public struct PocketTTS: Architecture {
    public static let name = "pockettts"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let feedForward: Int

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, embeddings: Domains.evenSizes)
        traits = try Traits(decoder: &h, takesEmbeddings: true)
        normalization = try Normalization(&h, .layer, bias: .required)
        attention = try GroupedQueryAttention(&h, dimensions, headSize: .splitEmbedding)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .normal, whole: true)
        feedForward = try h.feedForwardLength()
    }

    public func build(_ g: GraphBuilder) {
        let rope = rotary.rope()
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization))
            let mixed = block.cachedAttention(q, k, v, scale: attention.scale, mask: traits.mask, rope: rope)
            x = x + block.linear("attn_output", mixed, dimensions.embedding)
            x = x + block.feedForward(block.norm("ffn_norm", x, normalization), size: feedForward, .plain(.geluErf))
        }
        g.logits(x, dimensions, normalization, tying: .always)
    }
}
