import ModelGraph

/// The activation of a feed-forward network.
public enum Activation: Hashable, Sendable {
    /// `down(activation(gate(x), up(x)))`
    case gated(GatedActivation)
    /// The same of what is bounded first: `min(gate(x), limit)`, and `up(x)` from `−limit` to `limit`.
    case limited(GatedActivation, Double)
    /// `down(activation(up(x)))`
    case plain(Unary)
}

extension Activation {
    /// What a network with a gate takes down.
    func units(gate: Value, up: Value) -> Value {
        switch self {
        case .plain(let function): up(function)
        case .gated(let function): up.builder.apply(.gated(function), gate, up)
        case .limited(let function, let limit):
            up.builder.apply(.gated(function), gate.clamped(-.greatestFiniteMagnitude, limit), up.clamped(-limit, limit))
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
        case .plain(let function): up(function)
        case .gated, .limited: activation.units(gate: linear("ffn_gate\(suffix)", x, size, bias: bias), up: up)
        }
        return linear("ffn_down\(suffix)", hidden, x.shape.last, bias: bias)
    }
}
