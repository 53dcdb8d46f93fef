import ModelGraph

/// Qwen3: RMS-normed queries and keys, SwiGLU; also as an embedding model, and as a reranker whose score of a text is the
/// softmax over the logits of the answers.
/// Sources: Qwen3 technical report (2025), section 2; Qwen3 Embedding (2025), section 2.
public struct Qwen3: Architecture {
    public static let name = "qwen3"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let feedForward: Int
    /// Answers among which a reranker chooses.
    let labels: Int

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h)
        traits = try Traits(decoder: &h, poolings: Pooling.allCases)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox, whole: true)
        feedForward = try h.feedForwardLength()
        labels = traits.pooling == .rank
            ? try h.optionalLabels("classifier.output_labels", fuzz: [2, 1, 3], "names of the answers") ?? 1 : 1
    }

    public func build(_ g: GraphBuilder) {
        let rope = rotary.rope()
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization))
            let mixed = block.cachedAttention(
                block.norm("attn_q_norm", q, normalization), block.norm("attn_k_norm", k, normalization), v,
                scale: attention.scale, mask: traits.mask, rope: rope)
            x = x + block.linear("attn_output", mixed, dimensions.embedding, bias: .rare)
            x = x + block.feedForward(block.norm("ffn_norm", x, normalization), size: feedForward, .gated(.swiglu))
        }
        g.logits(x, dimensions, normalization, head: traits.pooling == .rank ? scores(g) : nil)
    }

    /// `[S, D] → [S, answers]`
    private func scores(_ g: GraphBuilder) -> (Value) -> Value {
        let answers = g.model.weight("cls.output.weight", [labels, dimensions.embedding], .projection)
        return { $0.matmul(answers).softmax() }
    }
}
