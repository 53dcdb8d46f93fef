import ModelGraph

/// CogVLM: Llama without shared key/value heads, and with a second set of matrices (the visual expert) for tokens of images.
/// The base of the rotation is 10,000, whatever the metadata say.
/// Source: Wang et al. 2023, section 2.1; the authors' `modeling_cogvlm.py`.
public struct CogVLM: Architecture {
    public static let name = "cogvlm"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let feedForward: Int

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, embeddings: Domains.evenSizes)
        traits = try Traits(decoder: &h)
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
            visualExpert(block)
            let (q, k, v) = attention.project(
                block, layer, block.norm("attn_norm", x, normalization), fused: .always, bias: .none)
            let mixed = block.cachedAttention(q, k, v, scale: attention.scale, mask: traits.mask, rope: rope)
            x = x + block.linear("attn_output", mixed, dimensions.embedding)
            x = x + block.feedForward(block.norm("ffn_norm", x, normalization), size: feedForward, .gated(.swiglu))
        }
        g.logits(x, dimensions, normalization)
    }

    /// The matrices for tokens of images, which those of a text do not meet.
    private func visualExpert(_ block: Scope) {
        let width = dimensions.embedding
        for (name, shape) in [
            ("vis_attn_qkv", [3 * width, width]), ("vis_attn_output", [width, width]),
            ("vis_gate", [feedForward, width]), ("vis_down", [width, feedForward]), ("vis_up", [feedForward, width]),
        ] as [(String, Shape)] {
            _ = block.weight("\(name).weight", shape, .projection)
        }
    }
}
