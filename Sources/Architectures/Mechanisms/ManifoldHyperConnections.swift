import ModelGraph

/// Manifold-constrained hyper-connections: several streams of residuals, of which each block sees a weighted sum, to
/// which it adds by weights, and which are mixed by a matrix whose rows and columns add up to one.
///
/// Source: Xie et al. 2026 (mHC); `DeepseekV4HyperConnection` of transformers.
public struct ManifoldHyperConnections: Hashable, Sendable {
    public let count: Int
    /// Steps of Sinkhorn and Knopp's balancing of rows and columns.
    public let iterations: Int
    /// Added to weights and sums.
    public let epsilon: Double
    let width: Int
    let normalization: Normalization

    public init(_ h: inout some Hyperparameters, _ dimensions: Dimensions, _ normalization: Normalization) throws {
        count = try h.integer("hyper_connection.count", 1...64, fuzz: [4], "streams of residuals")
        iterations = try h.integer(
            "hyper_connection.sinkhorn_iterations", 1...1000, fuzz: [4, 1, 2, 20],
            "steps that balance the mixing of streams")
        epsilon = try h.real(
            "hyper_connection.epsilon", 0...1, fuzz: [1e-6, 1e-5, 1e-3], "added to weights and sums of the mixing")
        width = dimensions.embedding
        self.normalization = normalization
    }

    /// `[T, D] → [T, N, D]`: the same in each stream.
    func begin(_ x: Value) -> Value { x.reshaped([x.shape[0], 1, width]).broadcast([x.shape[0], count, width]) }

    /// `[T, N, D] → [T, D]`: the sum that the model's end sees.
    func end(_ model: Scope, _ x: Value) -> Value {
        let mixed = logits(model, "output_hc", x, count)
        let scale = model.weight("output_hc_scale.weight", [1], .scale)
        let base = model.weight("output_hc_base.weight", [count], .bias)
        return gathered(x, (mixed * scale + base)(.sigmoid) + epsilon)
    }

    /// `[T, N, D] → [T, D]`: the mean of the streams, where that is the model's end.
    /// Source: `Glm5NextTextHyperHead` of transformers.
    func mean(_ x: Value) -> Value { x.sum(1).reshaped([x.shape[0], width]) * (1 / Double(count)) }

    /// The streams after a block, `[T, N, D]`.
    func around(_ block: Scope, _ name: String, _ x: Value, _ transform: (Value) -> Value) -> Value {
        let (tokens, n) = (x.shape[0], count)
        let mixed = logits(block, name, x, (2 + n) * n)
        let scale = block.weight("\(name)_scale.weight", [3], .scale)
        let base = block.weight("\(name)_base.weight", [(2 + n) * n], .bias)
        /// One of three parts: weights of what the block sees, of what it gives, and of streams for streams.
        func part(_ index: Int, _ start: Int, _ size: Int) -> Value {
            mixed.columns(start, size) * scale.slice(0, index, 1) + base.slice(0, start, size)
        }
        let gathering = part(0, 0, n)(.sigmoid) + epsilon
        let scattering = part(1, n, n)(.sigmoid) * 2
        let mixing = balanced(part(2, 2 * n, n * n).reshaped([tokens, n, n]))

        let made = transform(gathered(x, gathering)).reshaped([tokens, 1, width]).broadcast([tokens, n, width])
        let kept = (x.reshaped([tokens, n, 1, width]).broadcast([tokens, n, n, width])
            * mixing.reshaped([tokens, n, n, 1])).sum(1).reshaped([tokens, n, width])
        return made * scattering.reshaped([tokens, n, 1]) + kept
    }

    private func logits(_ scope: Scope, _ name: String, _ x: Value, _ outputs: Int) -> Value {
        let flat = x.reshaped([x.shape[0], count * width]).norm(.rms, normalization.epsilon)
        return scope.linear("\(name)_fn", flat, outputs)
    }

    private func gathered(_ x: Value, _ weights: Value) -> Value {
        (x * weights.reshaped([x.shape[0], count, 1])).sum(1).reshaped([x.shape[0], width])
    }

    /// `[T, N, N]`, from stream to stream, with rows and columns that add up to one in turn.
    private func balanced(_ logits: Value) -> Value {
        var mixing = logits.softmax() + epsilon
        func divide(along axis: Int) { mixing = mixing / (mixing.sum(axis) + epsilon) }
        divide(along: 1)
        for _ in 1..<iterations {
            divide(along: 2)
            divide(along: 1)
        }
        return mixing
    }
}
