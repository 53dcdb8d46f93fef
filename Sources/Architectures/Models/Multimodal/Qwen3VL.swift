import ModelGraph

/// The language model of Qwen3-VL and Qwen3-ASR: Qwen3 with positions of three interleaved sections. What images add
/// after the first blocks (DeepStack) comes with their embeddings, which tokens of a text lack. Source: Qwen3-VL
/// (2025), section 2.
public struct Qwen3VL: Architecture {
    public static let name = "qwen3vl"
    let decoder: Qwen3Decoder
    public var dimensions: Dimensions { decoder.dimensions }
    public var traits: Traits { decoder.traits }

    public init(_ h: inout some Hyperparameters) throws {
        decoder = try Qwen3Decoder(&h, Dimensions(&h), sections: PositionSections(.interleaved), hasDeepStack: true)
    }
    public func build(_ g: GraphBuilder) { decoder.build(g) }
}

/// The talker of Qwen3-TTS: Qwen3-VL whose logits are of audio codes, the last 3072 of the vocabulary, a number that no
/// key says; those of the text before them are −∞.
/// Source: the authors' `modeling_qwen3_tts.py`, `Qwen3TTSTalkerForConditionalGeneration`.
public struct Qwen3TTS: Architecture {
    public static let name = "qwen3tts"
    private static let codes = 3072
    let decoder: Qwen3Decoder
    public var dimensions: Dimensions { decoder.dimensions }
    public var traits: Traits { decoder.traits }

    public init(_ h: inout some Hyperparameters) throws {
        let dimensions = try Dimensions(&h, vocabularies: [Self.codes])
        try h.require(
            dimensions.vocabulary >= Self.codes, "vocab_size", because: "fewer than the \(Self.codes) codes of audio")
        decoder = try Qwen3Decoder(
            &h, dimensions, poolings: Pooling.ofTexts, sections: PositionSections(.interleaved), hasDeepStack: true)
    }

    public func build(_ g: GraphBuilder) {
        let (width, texts) = (dimensions.embedding, dimensions.vocabulary - Self.codes)
        let rows = g.embeddings(decoder.blocks(g)) { g.model.norm("output_norm", $0, decoder.normalization) }
        let head = g.model.weight("output.weight", [Self.codes, width], .projection)
        guard g.batch.pooledSequences == nil else { return }
        let codes = rows.matmul(head)
        let impossible = g.apply(.affine(scale: 0, bias: -.infinity), codes.columns(0, 1))
        g.output(.logits, texts == 0 ? codes : impossible.broadcast([g.batch.outputs, texts]).joined(codes))
    }
}

/// Qwen3-VL with experts in every feed-forward network; also the thinker of Qwen3-Omni.
/// Source: Qwen3-VL (2025), section 2.
public struct Qwen3VLMoE: Architecture {
    public static let name = "qwen3vlmoe"
    let decoder: Qwen3MoEDecoder
    public var dimensions: Dimensions { decoder.dimensions }
    public var traits: Traits { decoder.traits }

    public init(_ h: inout some Hyperparameters) throws {
        decoder = try Qwen3MoEDecoder(&h, sections: PositionSections(.interleaved), hasDeepStack: true)
    }
    public func build(_ g: GraphBuilder) { decoder.build(g) }
}

