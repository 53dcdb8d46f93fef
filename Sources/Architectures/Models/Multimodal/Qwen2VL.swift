import ModelGraph

/// The language model of Qwen2-VL and Qwen2.5-VL: Qwen2 with positions of three sections.
/// Source: Qwen2-VL (2024), section 2.1.
public struct Qwen2VL: Architecture {
    public static let name = "qwen2vl"
    let decoder: SectionedDecoder
    public var dimensions: Dimensions { decoder.dimensions }
    public var traits: Traits { decoder.traits }

    public init(_ h: inout some Hyperparameters) throws {
        decoder = try SectionedDecoder(&h, headSize: .splitEmbedding)
    }
    public func build(_ g: GraphBuilder) { decoder.build(g) }
}

/// The language model of PaddleOCR-VL: that of ERNIE 4.5 with positions of three sections; its code has biases
/// everywhere or nowhere, its released models none. Source: PaddleOCR-VL (2025), section 2; transformers,
/// `PaddleOCRTextModel`.
public struct PaddleOCR: Architecture {
    public static let name = "paddleocr"
    let decoder: SectionedDecoder
    public var dimensions: Dimensions { decoder.dimensions }
    public var traits: Traits { decoder.traits }

    public init(_ h: inout some Hyperparameters) throws {
        decoder = try SectionedDecoder(&h, headSize: .declaredAlike, mixedBias: .optional, fedBias: .rare)
    }
    public func build(_ g: GraphBuilder) { decoder.build(g) }
}

/// A pre-norm decoder of SwiGLU whose tokens have positions of three sections.
struct SectionedDecoder: Sendable {
    let dimensions: Dimensions
    let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let feedForward: Int
    let mixedBias: Scope.Bias
    let fedBias: Scope.Bias

    /// - Parameters:
    ///   - mixedBias: of the map after attention.
    ///   - fedBias: of those in feed-forward networks.
    init(
        _ h: inout some Hyperparameters, headSize: GroupedQueryAttention.HeadSize, mixedBias: Scope.Bias = .none,
        fedBias: Scope.Bias = .none
    ) throws {
        (self.mixedBias, self.fedBias) = (mixedBias, fedBias)
        dimensions = try Dimensions(&h, embeddings: Domains.evenSizes)
        traits = try Traits(decoder: &h, takesEmbeddings: true)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions, headSize: headSize)
        rotary = try RotaryEmbedding(
            &h, dimensions, headSize: attention.keySize, pairing: .neox, whole: true,
            sections: PositionSections(.consecutive))
        feedForward = try h.feedForwardLength()
    }

    func build(_ g: GraphBuilder) {
        let rope = rotary.rope()
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization))
            let mixed = block.cachedAttention(q, k, v, scale: attention.scale, mask: traits.mask, rope: rope)
            x = x + block.linear("attn_output", mixed, dimensions.embedding, bias: mixedBias)
            x = x + block.feedForward(
                block.norm("ffn_norm", x, normalization), size: feedForward, .gated(.swiglu), bias: fedBias)
        }
        g.logits(x, dimensions, normalization)
    }
}
