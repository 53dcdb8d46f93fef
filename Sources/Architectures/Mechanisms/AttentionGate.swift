import ModelGraph

extension Scope {
    /// How much of attention's result is let through.
    public enum AttentionGate: Hashable, Sendable {
        /// Head by head.
        case perHead
        /// Element by element.
        case perElement
    }

    /// `[T, H · Dv]`: attention's result times `function` of a linear map, `attn_gate`, of attention's input.
    ///
    /// - Parameters:
    ///   - x: `[T, D]`, the input.
    ///   - heads: `H`.
    /// Source: Qiu et al. 2025 (Gated Attention for Large Language Models), section 2.
    public func gated(_ mixed: Value, _ x: Value, heads: Int, _ gate: AttentionGate, _ function: Unary) -> Value {
        let (tokens, width) = (x.shape[0], mixed.shape[1])
        switch gate {
        case .perElement: return mixed * linear("attn_gate", x, width)(function)
        case .perHead:
            let gates = linear("attn_gate", x, heads)(function).reshaped([tokens, heads, 1])
            return (mixed.reshaped([tokens, heads, width / heads]) * gates).reshaped([tokens, width])
        }
    }
}
