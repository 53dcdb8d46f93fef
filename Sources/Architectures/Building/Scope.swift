import ModelGraph

/// Names tensors while a graph is built: `blk.3.` within block 3, nothing outside the blocks.
public struct Scope {
    public let g: GraphBuilder
    /// What comes before each name.
    public let prefix: String
    /// Number of the block, nil outside the blocks.
    public let layer: Int?
    /// How often the block has been passed before: its states are those of a pass.
    public var pass = 0

    /// Whether a linear map or norm has a bias tensor.
    public enum Bias: Hashable, Sendable {
        case none, optional, required
        /// As an option that the authors' code has and few released models use.
        case rare
        /// Without it few released models are.
        case usual
    }

    public func weight(_ name: String, _ shape: Shape, _ role: Weight.Role) -> Value {
        g.weight(prefix + name, shape, role)
    }
    public func optionalWeight(
        _ name: String, _ shape: Shape, _ role: Weight.Role, presence: GraphBuilder.Presence = .some
    ) -> Value? {
        g.optionalWeight(prefix + name, shape, role, presence: presence)
    }
    public func has(_ name: String, presence: GraphBuilder.Presence = .some) -> Bool {
        g.has(prefix + name, presence: presence)
    }

    /// Whether a tensor that files have in two shapes has so many rows.
    public func has(_ name: String, rows: Int) -> Bool { has(OptionalTensor.name(name, rows: rows)) }

    /// How many rows a tensor has that a model may have, where nothing else says so; nil where it lacks the tensor.
    /// - Parameters:
    ///   - drawn: the numbers that models are drawn with.
    ///   - limit: of the numbers that files may have.
    public func rows(of name: String, drawn: [Int], upTo limit: Int) -> Int? {
        guard has(name), let simplest = drawn.last else { return nil }
        return rows(ofRequired: name, drawn: drawn.dropLast(), simplest: simplest, upTo: limit)
    }

    /// The same of a tensor that every model has.
    /// - Parameter simplest: the number of most models that are drawn.
    public func rows(ofRequired name: String, drawn: [Int], simplest: Int, upTo limit: Int) -> Int {
        if let number = drawn.first(where: { has(name, rows: $0) }) { return number }
        // Only files have another number, and say of all their tensors that they are there.
        guard has(name, presence: .unasked) else { return simplest }
        return (1...limit).first { has(OptionalTensor.name(name, rows: $0), presence: .unasked) } ?? simplest
    }

    /// `name.bias`, if it is there.
    public func bias(_ name: String, _ shape: Shape, _ bias: Bias, role: Weight.Role = .bias) -> Value? {
        switch bias {
        case .none: nil
        case .optional: optionalWeight("\(name).bias", shape, role)
        case .rare: optionalWeight("\(name).bias", shape, role, presence: .few)
        case .usual: optionalWeight("\(name).bias", shape, role, presence: .most)
        case .required: weight("\(name).bias", shape, role)
        }
    }

    /// `x · name.weightᵀ (+ name.bias)` to `outputs` columns.
    public func linear(
        _ name: String, _ x: Value, _ outputs: Int, bias: Bias = .none, role: Weight.Role = .projection
    ) -> Value {
        let y = x.matmul(weight("\(name).weight", [outputs, x.shape.last], role))
        return self.bias(name, [outputs], bias).map { y + $0 } ?? y
    }

    /// The norm of the last dimension with `name.weight` (and `name.bias`).
    /// - Parameter suffix: of the weight's name, which a few files lack.
    public func norm(_ name: String, _ x: Value, _ normalization: Normalization, suffix: String = ".weight") -> Value {
        x.norm(
            normalization.kind, normalization.epsilon,
            weight(name + suffix, [x.shape.last], .scale),
            bias(name, [x.shape.last], normalization.bias))
    }

    /// The same, where the model has it; nil where it has not.
    public func optionalNorm(
        _ name: String, _ x: Value, _ normalization: Normalization, presence: GraphBuilder.Presence = .some
    ) -> Value? {
        let shape: Shape = [x.shape.last]
        guard let weight = optionalWeight("\(name).weight", shape, .scale, presence: presence) else { return nil }
        return x.norm(normalization.kind, normalization.epsilon, weight, bias(name, shape, normalization.bias))
    }

    /// `[T, H, D]`, each head normed and multiplied by weights of its own, where the model has them.
    public func optionalNormOfHeads(
        _ name: String, _ x: Value, _ normalization: Normalization, presence: GraphBuilder.Presence = .some
    ) -> Value {
        let shape: Shape = [x.shape[1], x.shape[2]]
        guard let weight = optionalWeight("\(name).weight", shape, .scale, presence: presence) else { return x }
        return x.norm(normalization.kind, normalization.epsilon) * weight
    }

    /// `[T, H, D]` normed as rows of `H · D`.
    public func normAcrossHeads(_ name: String, _ x: Value, _ normalization: Normalization) -> Value {
        norm(name, x.reshaped([x.shape[0], x.shape[1] * x.shape[2]]), normalization).reshaped(x.shape)
    }

    public func state(
        _ name: String, _ kind: State.Kind, row: Shape, rotation: State.Rotation? = nil, holdsValues: Bool = false
    ) -> StateID {
        g.state(
            prefix + (pass == 0 ? name : "pass\(pass).\(name)"), kind, row: row, rotation: rotation,
            holdsValues: holdsValues)
    }
}

extension GraphBuilder {
    /// Outside the blocks.
    public var model: Scope {
        layer = nil
        return Scope(g: self, prefix: "", layer: nil)
    }

    /// Block `index`: ops recorded from here on belong to it.
    public func block(_ index: Int, of stack: String = "") -> Scope {
        layer = index
        return Scope(g: self, prefix: "\(stack)blk.\(index).", layer: index)
    }
}

/// The norm that a model uses throughout.
public struct Normalization: Hashable, Sendable {
    public let kind: Norm
    public let epsilon: Double
    public let bias: Scope.Bias

    /// One whose epsilon no key says.
    init(_ kind: Norm, epsilon: Double, bias: Scope.Bias = .none) {
        (self.kind, self.epsilon, self.bias) = (kind, epsilon, bias)
    }

    /// - Parameters:
    ///   - absent: the epsilon where the metadata does not say; nil: it must.
    ///   - inner: the epsilon of norms inside the architecture's mechanisms, whatever the metadata says: engines that
    ///     take one for the other are right where both are the same, so few models have another.
    public init(
        _ h: inout some Hyperparameters, _ kind: Norm, bias: Scope.Bias = .none, default absent: Double? = nil,
        inner: Double? = nil
    ) throws {
        self.kind = kind
        self.bias = bias
        let key = kind == .layer ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon"
        let about = "added to the variance by each norm"
        let fuzz = (inner.map { [$0] } ?? []) + Domains.epsilons.filter { $0 != inner }
        epsilon = if let absent {
            try h.real(key, 0...1, fuzz: fuzz, default: absent, about)
        } else {
            try h.real(key, 0...1, fuzz: fuzz, isRare: inner != nil, about)
        }
    }
}
