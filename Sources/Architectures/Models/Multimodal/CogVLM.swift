import ModelGraph

/// CogVLM: Llama without shared key/value heads, and with a second set of matrices (the visual expert) for tokens of
/// images. The base of the rotation is 10,000, whatever the metadata say. The authors give the last token of an image
/// (`get_expert_mask`) to the text's matrices; here, as embeddings in a batch do not say where an image ends, all of them
/// are the image's. Source: Wang et al. 2023, section 2.1; the authors' `modeling_cogvlm.py`.
public struct CogVLM: Architecture {
    public static let name = "cogvlm"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let feedForward: Int

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, embeddings: Domains.evenSizes)
        traits = try Traits(decoder: &h, takesEmbeddings: true)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions, headSize: .splitEmbedding, grouping: .never)
        let size = attention.keySize
        _ = try h.integer(
            "rope.dimension_count", size...size, fuzz: [size], default: size, "rotated elements of each head")
        _ = try h.real(
            "rope.freq_base", 10_000...10_000, fuzz: [10_000], default: 10_000, "base of the rotation frequencies")
        feedForward = try h.feedForwardLength()
    }

    public func build(_ g: GraphBuilder) {
        let rope = Rope(pairing: .neox, dimensions: attention.keySize, base: 10_000)
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let normed = block.norm("attn_norm", x, normalization)
            let width = dimensions.embedding
            let qkv = expert(block, "attn_qkv", "vis_attn_qkv", normed, 3 * width)
            let heads: Shape = [normed.shape[0], attention.heads[layer], attention.keySize]
            let mixed = block.cachedAttention(
                qkv.columns(0, width).reshaped(heads), qkv.columns(width, width).reshaped(heads),
                qkv.columns(2 * width, width).reshaped(heads), scale: attention.scale, mask: traits.mask, rope: rope)
            x = x + expert(block, "attn_output", "vis_attn_output", mixed, width)
            let fed = block.norm("ffn_norm", x, normalization)
            let hidden = g.apply(
                .gated(.swiglu), expert(block, "ffn_gate", "vis_gate", fed, feedForward),
                expert(block, "ffn_up", "vis_up", fed, feedForward))
            x = x + expert(block, "ffn_down", "vis_down", hidden, width)
        }
        g.logits(x, dimensions, normalization)
    }

    /// By the matrix for texts, or by that for images, whose tokens are given as embeddings.
    private func expert(_ block: Scope, _ text: String, _ image: String, _ x: Value, _ outputs: Int) -> Value {
        let (own, other) = block.g.batch.isEmbedded ? (image, text) : (text, image)
        _ = block.weight("\(other).weight", [outputs, x.shape.last], .projection)
        return block.linear(own, x, outputs)
    }
}
