import ModelGraph

/// The activation of a feed-forward network.
public enum Activation: Hashable, Sendable {
    /// `down(activation(gate(x), up(x)))`
    case gated(GatedActivation)
    /// `down(activation(up(x)))`
    case plain(Unary)
    /// `down(activation(gate(x)) · up(x))` for functions that have no gated activation of their own; with a limit, what the
    /// function gives is bounded from above by it, and `up(x)` from both sides.
    case product(Unary, limit: Double? = nil)

    /// What a network takes down.
    func units(gate: @autoclosure () -> Value, up: Value) -> Value {
        switch self {
        case .gated(let function): return up.builder.apply(.gated(function), gate(), up)
        case .plain(let function): return up(function)
        case .product(let function, let limit):
            guard let limit else { return gate()(function) * up }
            return gate()(function).clamped(-.infinity, limit) * up.clamped(-limit, limit)
        }
    }
}

extension Hyperparameters {
    /// `feed_forward_length`, where a model has one for all its layers.
    public mutating func feedForwardLength(_ about: String = "hidden units of a feed-forward network") throws -> Int {
        try integer("feed_forward_length", 1...(1 << 20), fuzz: Domains.feedForward, about)
    }

    /// `leading_dense_block_count`, of a model whose other blocks have experts.
    mutating func leadingDenseBlocks(_ dimensions: Dimensions) throws -> Int {
        try integer(
            "leading_dense_block_count", 0...512, fuzz: Array(0...dimensions.layers), default: 0, "dense blocks before those with experts")
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
        let hidden = activation.units(gate: linear("ffn_gate\(suffix)", x, size, bias: bias), up: up)
        return linear("ffn_down\(suffix)", hidden, x.shape.last, bias: bias)
    }
}
