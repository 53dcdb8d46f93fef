import ModelGraph

/// Lightning attention: linear attention whose memory forgets by one fixed share a head, the less the deeper the layer.
///
/// Sources: Qin et al. 2024 (Lightning Attention-2); MiniMax-01 (2025), section 2.2, and the code of its authors
/// (`MiniMaxText01LightningAttention`) for decays, activation, gate and the epsilon of its norm.
public struct LightningAttention: Hashable, Sendable {
    public let heads: Int
    public let headSize: Int

    /// Added to the variance of what all heads recall, whatever the model's other norms have.
    static let normalization = Normalization(.rms, epsilon: 1e-6)

    /// `[T, D] → [T, H · S]`, before the output projection.
    public func mix(_ block: Scope, _ layer: Int, of layers: Int, _ x: Value) -> Value {
        let (g, tokens, width) = (block.g, x.shape[0], heads * headSize)
        // Queries, keys and values of one head lie together.
        let all = block.linear("attn_qkv", x, 3 * width)(.silu).reshaped([tokens, heads, 3 * headSize])
        let recalled = g.apply(
            .linearAttention(
                block.state("lightning_state", .recurrent, row: [heads, headSize, headSize]), scale: 1, bonus: false),
            all.columns(0, headSize), all.columns(headSize, headSize), all.columns(2 * headSize, headSize),
            g.applyShared(.constant(decays(layer, of: layers))).reshaped([1, heads, 1]).broadcast([tokens, heads, 1]),
            g.slots)
        let normed = block.norm("attn_norm_2", recalled.reshaped([tokens, width]), Self.normalization)
        return normed * block.linear("attn_gate", x, width)(.sigmoid)
    }

    /// The logarithm of what each head keeps of its memory: ALiBi's slopes, of which the last layer has hardly any.
    private func decays(_ layer: Int, of layers: Int) -> [Double] {
        let share = 1 - Double(layer) / Double(max(1, layers - 1)) + 1e-5
        return (0..<heads).map { -share * alibiSlope(head: $0, heads: heads, maxBias: 8) }
    }
}
