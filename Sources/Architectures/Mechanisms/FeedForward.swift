import ModelGraph

/// The activation of a feed-forward network.
public enum Activation: Hashable, Sendable {
    /// `down(activation(gate(x), up(x)))`
    case gated(GatedActivation)
    /// `down(activation(gate(x)) · up(x))`, of an activation that no gated one stands for.
    case gatedBy(Unary)
    /// `down(activation(up(x)))`
    case plain(Unary)

    /// What a gated network makes of its two halves.
    func callAsFunction(gate: Value, up: Value) -> Value {
        switch self {
        case .gated(let function): up.builder.apply(.gated(function), gate, up)
        case .gatedBy(let function): gate(function) * up
        case .plain(let function): up(function)
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
        let hidden = switch activation {
        case .gated, .gatedBy: activation(gate: linear("ffn_gate\(suffix)", x, size, bias: bias), up: up)
        case .plain(let function): up(function)
        }
        return linear("ffn_down\(suffix)", hidden, x.shape.last, bias: bias)
    }

    /// The same, of a gated activation whose two matrices are one, `ffn_up`.
    ///
    /// - Parameter gateFirst: which half of it is the gate.
    public func fusedFeedForward(
        _ x: Value, size: Int, _ activation: Activation, gateFirst: Bool = true, downBias: Bias = .none
    ) -> Value {
        let both = linear("ffn_up", x, 2 * size)
        let (first, second) = (both.columns(0, size), both.columns(size, size))
        let hidden = gateFirst ? activation(gate: first, up: second) : activation(gate: second, up: first)
        return linear("ffn_down", hidden, x.shape.last, bias: downBias)
    }
}
