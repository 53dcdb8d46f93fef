import ModelGraph

/// AltUp: a residual stream several times as wide as the blocks. Each block works on one part of it, from which the
/// others are first predicted and then corrected.
///
/// Sources: Baykal et al. 2023, section 3; `Gemma3nTextAltUp` of transformers, whose coefficients depend on the token.
public struct AlternatingUpdates: Hashable, Sendable {
    /// Parts of the stream.
    public let parts: Int
    /// The part that blocks work on.
    public let active: Int

    public init(_ h: inout some Hyperparameters) throws {
        parts = try h.integer(
            "altup.num_inputs", 1...64, fuzz: [4, 2, 3], default: 4, isRare: true, "parts of the residual stream")
        active = try h.integer(
            "altup.active_idx", 0...63, fuzz: Array(0..<parts), default: 0, isRare: true,
            "the part that blocks work on")
        try h.require(
            active < parts, "altup.active_idx", "altup.num_inputs", because: "part \(active) of \(parts)")
    }

    /// Least mean square of what is brought to the length of another.
    private static let leastMeanSquare = 1e-5

    /// `x` brought to the length of `target`, both `[T, D]`.
    private func scaled(_ x: Value, toLengthOf target: Value) -> Value {
        let least = (Self.leastMeanSquare * Double(x.shape[1])).squareRoot()
        return x.norm(.unit, least) * target.length
    }

    /// One part `[T, D]` becomes all of them.
    public func expand(_ g: GraphBuilder, _ x: Value) -> [Value] {
        [x] + projected(g.model, "altup_proj", Array(repeating: x, count: parts - 1)).map { scaled($0, toLengthOf: x) }
    }

    /// All parts become one again, their mean.
    public func merge(_ g: GraphBuilder, _ x: [Value]) -> Value {
        let others = projected(g.model, "altup_unembd_proj", Array(x.dropFirst())).map { scaled($0, toLengthOf: x[0]) }
        return others.reduce(x[0]) { $0 + $1 } * (1 / Double(parts))
    }

    /// Each of the parts but the first times a matrix of its own.
    private func projected(_ model: Scope, _ name: String, _ x: [Value]) -> [Value] {
        guard let first = x.first else { return [] }
        let (tokens, width) = (first.shape[0], first.shape[1])
        let matrices = model.weight("\(name).weight", [x.count, width, width], .projection)
        let rows = model.g.apply(.concatenate(axis: 1), x).reshaped([tokens, x.count, width])
        let y = model.g.apply(.headMatmul, rows, matrices).reshaped([tokens, x.count * width])
        return x.indices.map { y.columns($0 * width, width) }
    }

    /// `[T, A]`, in −1 ... 1: what the coefficients of a token are made of.
    private func modalities(_ block: Scope, _ x: Value, _ normalization: Normalization) -> Value {
        let normed = block.norm("altup_router_norm", x, normalization) * (1 / Double(x.shape[1]))
        return block.linear("altup_router", normed, parts)(.tanh)
    }

    /// What the parts will be, from what they are.
    public func predict(_ block: Scope, _ x: [Value], _ normalization: Normalization) -> [Value] {
        let mixed = block.linear("altup_predict_coef", modalities(block, x[active], normalization), parts * parts)
        return x.indices.map { part in
            x.indices.reduce(x[part]) { $0 + x[$1] * mixed.columns(part * parts + $1, 1) }
        }
    }

    /// The parts that were predicted, corrected by what the block made of the active one.
    public func correct(
        _ block: Scope, _ predicted: [Value], by activated: Value, _ normalization: Normalization
    ) -> [Value] {
        let coefficients = block.linear("altup_correct_coef", modalities(block, activated, normalization), parts) + 1
        let innovation = activated - predicted[active]
        return predicted.enumerated().map { $1 + innovation * coefficients.columns($0, 1) }
    }
}

extension Value {
    /// `[…, 1]`: the Euclidean length of each row.
    var length: Value { (self * norm(.unit, 1e-30)).sum(shape.rank - 1) }
}
