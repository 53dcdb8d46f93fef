import ModelGraph

/// The activation of a feed-forward network.
public enum Activation: Hashable, Sendable {
    /// `down(activation(gate(x), up(x)))`
    case gated(GatedActivation)
    /// `down(activation(up(x)))`
    case plain(Unary)
    /// `down(silu(min(gate(x), limit)) · clamp(up(x), ±limit))`. Source: `Glm5NextTextMLP` of transformers.
    case limitedGate(Double)
    /// `down(min(silu(gate(x)), limit) · clamp(up(x), ±limit))`.
    case limitedSwiGLU(Double)
    /// `down(β tanh(gate(x) / β) · sigmoid(gate(x)) · β' tanh(up(x) / β'))`; without `β'` what is up stays as it is.
    /// Source: Kimi K3 (SiTU).
    case softLimited(gate: Double, up: Double?)

    /// SwiGLU with a limit, where there is one.
    static func swiglu(limit: Double, _ limited: (Double) -> Activation) -> Activation {
        limit == 0 ? .gated(.swiglu) : limited(limit)
    }

    /// What is multiplied by `down`.
    /// - Parameter gate: `gate(x)`; asked for where there is one.
    func hidden(_ up: Value, gate: () -> Value) -> Value {
        let lowest = -Double(Float.greatestFiniteMagnitude)
        switch self {
        case .plain(let function): return up(function)
        case .gated(let function): return up.builder.apply(.gated(function), gate(), up)
        case .limitedGate(let limit):
            return up.builder.apply(.gated(.swiglu), gate().clamped(lowest, limit), up.clamped(-limit, limit))
        case .limitedSwiGLU(let limit):
            return gate()(.silu).clamped(lowest, limit) * up.clamped(-limit, limit)
        case .softLimited(let gateLimit, let upLimit):
            let gate = gate()
            return gate.softcapped(gateLimit) * gate(.sigmoid) * (upLimit.map { up.softcapped($0) } ?? up)
        }
    }
}

extension Hyperparameters {
    /// `feed_forward_length`, where a model has one for all its layers.
    public mutating func feedForwardLength(_ about: String = "hidden units of a feed-forward network") throws -> Int {
        try integer("feed_forward_length", 1...(1 << 20), fuzz: Domains.feedForward, about)
    }
}

extension Scope {
    /// A dense feed-forward network of `size` hidden units: `[T, D] → [T, D]`.
    ///
    /// - Parameter suffix: of the tensor names: `_shexp` for a shared expert.
    public func feedForward(
        _ x: Value, size: Int, _ activation: Activation, bias: Bias = .none, suffix: String = ""
    ) -> Value {
        let up = linear("ffn_up\(suffix)", x, size, bias: bias)
        let hidden = activation.hidden(up) { linear("ffn_gate\(suffix)", x, size, bias: bias) }
        return linear("ffn_down\(suffix)", hidden, x.shape.last, bias: bias)
    }
}
