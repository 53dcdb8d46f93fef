import ModelGraph

/// The activation of a feed-forward network.
public enum Activation: Hashable, Sendable {
    /// `down(activation(gate(x), up(x)))`
    case gated(GatedActivation)
    /// `down(activation(up(x)))`
    case plain(Unary)
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
    /// - Parameters:
    ///   - suffix: of the tensor names: `_shexp` for a shared expert.
    ///   - isFused: gate and up are one matrix, `ffn_up`, in that order.
    public func feedForward(
        _ x: Value, size: Int, _ activation: Activation, bias: Bias = .none, suffix: String = "", isFused: Bool = false
    ) -> Value {
        let up = linear("ffn_up\(suffix)", x, isFused ? 2 * size : size, bias: bias)
        let hidden = switch activation {
        case .gated(let function) where isFused:
            g.apply(.gated(function), up.columns(0, size), up.columns(size, size))
        case .gated(let function): g.apply(.gated(function), linear("ffn_gate\(suffix)", x, size, bias: bias), up)
        case .plain(let function): up(function)
        }
        return linear("ffn_down\(suffix)", hidden, x.shape.last, bias: bias)
    }
}
