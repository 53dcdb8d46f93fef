import ModelGraph

/// Attention residuals: what a layer is given is a mixture of the residual streams of the blocks of layers before it
/// and of its own, weighed by a softmax over scores of each; at the start of a block the stream is put aside and begins
/// anew.
///
/// Source: Kimi K3 (2026), as llama.cpp has it: the authors' code is not in transformers.
public struct AttentionResiduals {
    /// Layers of a block; 0: there is one stream from end to end.
    public let blockSize: Int
    /// The streams of the blocks before, `[T, D]` each.
    private var streams: [Value] = []

    init(blockSize: Int) { self.blockSize = blockSize }

    /// A mixture of the streams put aside and of `x`, scored by their norms' products with `name.weight`.
    func mixed(_ scope: Scope, _ x: Value, _ name: String, _ normalization: Normalization) -> Value {
        guard blockSize > 0 else { return x }
        // The first layer has nothing to mix, but scores all the same.
        let weight = scope.weight("\(name).weight", [x.shape.last], .scale)
        guard !streams.isEmpty else { return x }
        let all = streams + [x]
        let scores = all.map { $0.norm(normalization.kind, normalization.epsilon, weight).sum(1) }
        let shares = scope.g.apply(.concatenate(axis: 1), scores).softmax()
        let terms = all.enumerated().map { $1 * shares.columns($0, 1) }
        return terms.dropFirst().reduce(terms[0]) { $0 + $1 }
    }

    /// The residual stream after a layer's attention: `x` and what that made of it, or that alone where a block begins.
    mutating func advanced(_ x: Value, by mixed: Value, layer: Int) -> Value {
        guard blockSize > 0, layer % blockSize == 0 else { return x + mixed }
        streams.append(x)
        return mixed
    }
}
