import ModelGraph

/// MPT: linear biases of the attention scores (ALiBi) or learned positions, queries, keys and values that may be
/// clamped and normed across heads, biases everywhere or nowhere, exact GELU, whose result AWQ divides by scales.
///
/// Sources: MosaicML's LLM Foundry (2023), `attention.py` and `ffn.py`; Lin et al. 2023 (AWQ), section 4.
public struct MPT: Architecture {
    public static let name = "mpt"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let clamped: ClampedProjections
    /// Exponent of ALiBi's steepest slope; 0: the scores have no biases.
    let maxBias: Double
    let feedForward: Int

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h)
        traits = try Traits(decoder: &h)
        normalization = try Normalization(&h, .layer, bias: .optional)
        attention = try GroupedQueryAttention(&h, dimensions, headSize: .splitEmbedding, evenHeads: false)
        clamped = try ClampedProjections(&h)
        maxBias = try h.real(
            "attention.max_alibi_bias", 0...1e3, fuzz: [8, 0, 4, 16], default: 0,
            "exponent of the steepest slope of ALiBi; 0: no biases")
        feedForward = try h.feedForwardLength()
    }

    public func build(_ g: GraphBuilder) {
        var x = g.tokenEmbedding(dimensions)
        let shape: Shape = [dimensions.context, dimensions.embedding]
        if let learned = g.model.optionalWeight("position_embd.weight", shape, .embedding) {
            x = x + learned.rows(g.positions)
        }
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let normed = block.norm("attn_norm", x, normalization)
            let (projected, keys, values) = clamped(attention.project(block, layer, normed, fused: .always))
            let (q, k) = normedAcrossHeads(block, projected, keys)
            let mixed = block.cachedAttention(
                q, k, values, scale: attention.scale, mask: traits.mask,
                bias: maxBias == 0 ? nil : g.alibi(heads: attention.heads[layer], maxBias: maxBias))
            x = x + block.linear("attn_output", mixed, dimensions.embedding, bias: .optional)
            x = x + feed(block, block.norm("ffn_norm", x, normalization))
        }
        g.logits(x, dimensions, normalization)
    }

    /// Both, or neither.
    private func normedAcrossHeads(_ block: Scope, _ queries: Value, _ keys: Value) -> (queries: Value, keys: Value) {
        let flat = queries.reshaped([queries.shape[0], queries.shape[1] * queries.shape[2]])
        guard let normed = block.optionalNorm("attn_q_norm", flat, normalization, presence: .few) else {
            return (queries, keys)
        }
        return (normed.reshaped(queries.shape), block.normAcrossHeads("attn_k_norm", keys, normalization))
    }

    private func feed(_ block: Scope, _ x: Value) -> Value {
        var hidden = block.linear("ffn_up", x, feedForward, bias: .optional)(.geluErf)
        if let scales = block.optionalWeight("ffn.act.scales", [feedForward], .scale, presence: .few) {
            hidden = hidden / scales
        }
        return block.linear("ffn_down", hidden, dimensions.embedding, bias: .optional)
    }
}
