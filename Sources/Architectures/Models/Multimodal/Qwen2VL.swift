import ModelGraph

/// The language model of Qwen2-VL and Qwen2.5-VL: Qwen2 with positions of three sections.
/// Source: Qwen2-VL (2024), section 2.1.
public struct Qwen2VL: Architecture {
    public static let name = "qwen2vl"
    let decoder: SectionedDecoder
    public var dimensions: Dimensions { decoder.dimensions }
    public var traits: Traits { decoder.traits }

    public init(_ h: inout some Hyperparameters) throws {
        decoder = try SectionedDecoder(&h, headSize: .splitEmbedding, outputBias: .optional)
    }
    public func build(_ g: GraphBuilder) { decoder.build(g) }
}

/// The language model of PaddleOCR-VL: that of ERNIE 4.5 with positions of three sections, and biases everywhere or
/// nowhere.
/// Source: PaddleOCR-VL (2025), section 2; transformers, `PaddleOCRTextModel`.
public struct PaddleOCR: Architecture {
    public static let name = "paddleocr"
    let decoder: SectionedDecoder
    public var dimensions: Dimensions { decoder.dimensions }
    public var traits: Traits { decoder.traits }

    public init(_ h: inout some Hyperparameters) throws {
        decoder = try SectionedDecoder(&h, headSize: .declaredAlike, blockBias: .optional)
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
    let blockBias: Scope.Bias
    let outputBias: Scope.Bias

    /// - Parameters:
    ///   - blockBias: of the maps after attention and in feed-forward networks.
    ///   - outputBias: of the logits.
    init(
        _ h: inout some Hyperparameters, headSize: GroupedQueryAttention.HeadSize, blockBias: Scope.Bias = .none,
        outputBias: Scope.Bias = .none
    ) throws {
        (self.blockBias, self.outputBias) = (blockBias, outputBias)
        dimensions = try Dimensions(&h, embeddings: Domains.evenSizes)
        traits = try Traits(decoder: &h)
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
            x = x + block.linear("attn_output", mixed, dimensions.embedding, bias: blockBias)
            x = x + block.feedForward(
                block.norm("ffn_norm", x, normalization), size: feedForward, .gated(.swiglu), bias: blockBias)
        }
        g.logits(x, dimensions, normalization, bias: outputBias)
    }
}
