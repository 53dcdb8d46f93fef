import ModelGraph

/// Qwen3: RMS-normed queries and keys, SwiGLU; also as an embedding model, and as a reranker whose score of a text is
/// the softmax over the logits of the answers. Sources: Qwen3 technical report (2025), section 2; Qwen3 Embedding
/// (2025), section 2.
public struct Qwen3: Architecture {
    public static let name = "qwen3"
    let decoder: Qwen3Decoder
    public var dimensions: Dimensions { decoder.dimensions }
    public var traits: Traits { decoder.traits }

    public init(_ h: inout some Hyperparameters) throws { decoder = try Qwen3Decoder(&h, Dimensions(&h)) }
    public func build(_ g: GraphBuilder) { decoder.build(g) }
}

/// What Qwen3's models of texts, images and speech share.
struct Qwen3Decoder: Sendable {
    let dimensions: Dimensions
    let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let feedForward: Int
    /// Answers among which a reranker chooses.
    let labels: Int
    /// Blocks after which embeddings of images add more.
    let deepStack: Int

    /// - Parameters:
    ///   - poolings: what it can give in place of logits.
    ///   - sections: of the positions.
    ///   - hasDeepStack: whether embeddings of images may add more after some blocks.
    init(
        _ h: inout some Hyperparameters, _ dimensions: Dimensions, poolings: [Pooling] = Pooling.allCases,
        sections: PositionSections? = nil, hasDeepStack: Bool = false
    ) throws {
        self.dimensions = dimensions
        traits = try Traits(decoder: &h, poolings: poolings, takesEmbeddings: true)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions)
        rotary = try RotaryEmbedding(
            &h, dimensions, headSize: attention.keySize, pairing: .neox, whole: true, sections: sections)
        feedForward = try h.feedForwardLength()
        labels = traits.pooling == .rank
            ? try h.optionalLabels("classifier.output_labels", fuzz: [2, 1, 3], "names of the answers") ?? 1 : 1
        deepStack = hasDeepStack ? try h.deepStack(layers: dimensions.layers) : 0
    }

    func build(_ g: GraphBuilder) { g.logits(blocks(g), dimensions, normalization, head: head(g)) }

    /// `[T, D]`: the residual stream after all blocks.
    func blocks(_ g: GraphBuilder) -> Value {
        let rope = rotary.rope()
        var x = g.tokenEmbedding(dimensions, deepStack: deepStack)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization))
            let mixed = block.cachedAttention(
                block.norm("attn_q_norm", q, normalization), block.norm("attn_k_norm", k, normalization), v,
                scale: attention.scale, mask: traits.mask, rope: rope)
            x = x + block.linear("attn_output", mixed, dimensions.embedding, bias: .rare)
            x = x + block.feedForward(block.norm("ffn_norm", x, normalization), size: feedForward, .gated(.swiglu))
            x = g.addingDeepStack(x, deepStack, after: layer)
        }
        return x
    }

    /// `[S, D] → [S, answers]`, where it ranks.
    private func head(_ g: GraphBuilder) -> ((Value) -> Value)? {
        guard traits.pooling == .rank else { return nil }
        let answers = g.model.weight("cls.output.weight", [labels, dimensions.embedding], .projection)
        return { $0.matmul(answers).softmax() }
    }
}
