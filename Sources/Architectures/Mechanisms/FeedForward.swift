import ModelGraph

/// The activation of a feed-forward network.
public enum Activation: Hashable, Sendable {
    /// `down(activation(gate(x), up(x)))`
    case gated(GatedActivation)
    /// The same of what is bounded first: `min(gate(x), limit)`, and `up(x)` from `−limit` to `limit`.
    case limited(GatedActivation, Double)
    /// `down(activation(up(x)))`
    case plain(Unary)
    /// `down(activation(gate(x)) · up(x))` for functions that have no gated activation of their own; with a limit, what
    /// the function gives is bounded from above by it, and `up(x)` from both sides.
    case product(Unary, limit: Double? = nil)

    /// `down(β tanh(gate(x) / β) · sigmoid(gate(x)) · β' tanh(up(x) / β'))`; without `β'` what is up stays as it is.
    /// Source: Kimi K3 (SiTU).
    case softLimited(gate: Double, up: Double?)

    /// SwiGLU with a limit, where there is one.
    static func swiglu(limit: Double, _ limited: (Double) -> Activation) -> Activation {
        limit == 0 ? .gated(.swiglu) : limited(limit)
    }

    /// What a network takes down.
    /// - Parameter gate: `gate(x)`; asked for where there is one.
    func hidden(gate: @autoclosure () -> Value, up: Value) -> Value {
        let lowest = -Double(Float.greatestFiniteMagnitude)
        switch self {
        case .gated(let function): return up.builder.apply(.gated(function), gate(), up)
        case .limited(let function, let limit):
            return up.builder.apply(.gated(function), gate().clamped(lowest, limit), up.clamped(-limit, limit))
        case .plain(let function): return up(function)
        case .product(let function, let limit):
            guard let limit else { return gate()(function) * up }
            return gate()(function).clamped(lowest, limit) * up.clamped(-limit, limit)
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

    /// `leading_dense_block_count`, of a model whose other blocks have experts.
    /// - Parameters:
    ///   - isRequired: whether the metadata must say it; else an absent key means that there are none.
    ///   - isRare: whether few models have them.
    mutating func leadingDenseBlocks(
        _ dimensions: Dimensions, isRequired: Bool = false, isRare: Bool = false
    ) throws -> Int {
        let (key, about) = ("leading_dense_block_count", "dense blocks before those with experts")
        let fuzz = Array(0...dimensions.layers)
        return isRequired
            ? try integer(key, 0...512, fuzz: fuzz, about)
            : try integer(key, 0...512, fuzz: fuzz, default: 0, isRare: isRare, about)
    }
}

extension Scope {
    /// A dense feed-forward network of `size` hidden units: `[T, D] → [T, D]`.
    ///
    /// - Parameters:
    ///   - suffix: of the tensor names: `_shexp` for a shared expert.
    ///   - isFused: gate and up are one matrix, in that order.
    public func feedForward(
        _ x: Value, size: Int, _ activation: Activation, bias: Bias = .none, suffix: String = "", isFused: Bool = false
    ) -> Value {
        if isFused { return fusedFeedForward(x, size: size, activation, bias: bias, downBias: bias, suffix: suffix) }
        let up = linear("ffn_up\(suffix)", x, size, bias: bias)
        let hidden = activation.hidden(gate: linear("ffn_gate\(suffix)", x, size, bias: bias), up: up)
        return linear("ffn_down\(suffix)", hidden, x.shape.last, bias: bias)
    }

    /// The same, of a gated activation whose two matrices are one, `ffn_up`.
    ///
    /// - Parameter gateFirst: which half of it is the gate.
    public func fusedFeedForward(
        _ x: Value, size: Int, _ activation: Activation, gateFirst: Bool = true, bias: Bias = .none,
        downBias: Bias = .none, suffix: String = ""
    ) -> Value {
        let both = linear("ffn_up\(suffix)", x, 2 * size, bias: bias)
        let (first, second) = (both.columns(0, size), both.columns(size, size))
        let hidden = gateFirst
            ? activation.hidden(gate: first, up: second) : activation.hidden(gate: second, up: first)
        return linear("ffn_down\(suffix)", hidden, x.shape.last, bias: downBias)
    }
}
