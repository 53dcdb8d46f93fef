import ModelGraph

/// Independent hyper-connections: several residual streams, of which a weighted sum is each module's input, and to each
/// of which its output is added with a weight; both weights are made from all streams.
///
/// Sources: Zhu et al. 2024 (Hyper-Connections); `HYV4HyperConnection` and `HYV4HyperHead` of transformers, in which no
/// stream goes into another.
public struct IndependentHyperConnections: Hashable, Sendable {
    public let count: Int
    let epsilon: Double
    /// Of the weights with which outputs are added.
    let magnitude: Double

    public init(_ h: inout some Hyperparameters) throws {
        count = try h.integer("hyper_connection.count", 1...64, fuzz: [4, 2, 1, 3], "residual streams")
        epsilon = try h.real(
            "hyper_connection.epsilon", 0...1, fuzz: [1e-6, 0, 1e-3], "added to the weights of streams")
        magnitude = try h.real(
            "hyper_connection.magnitude", 0...1e6, fuzz: [2, 1, 0, 0.5], "multiplies the weights of outputs")
    }

    /// `[T, D] → [T, n, D]`: as many streams.
    func expanded(_ x: Value) -> Value {
        let (tokens, width) = (x.shape[0], x.shape[1])
        return x.reshaped([tokens, 1, width]).broadcast([tokens, count, width])
    }

    /// `[T, n, D] → [T, n, D]`: the streams after a module.
    func applied(
        _ block: Scope, _ name: String, _ streams: Value, _ normalization: Normalization, module: (Value) -> Value
    ) -> Value {
        let (tokens, width) = (streams.shape[0], streams.shape[2])
        let logits = logits(block, name, streams, 2 * count, normalization)
        let scale = block.weight("\(name)_scale.weight", [2], .scale)
        let base = block.weight("\(name)_base.weight", [2 * count], .bias)
        func weights(_ part: Int) -> Value {
            let scaled = logits.columns(part * count, count) * scale.slice(0, part, 1)
            return (scaled + base.slice(0, part * count, count))(.sigmoid)
        }
        let input = summed(streams, weights(0) + epsilon)
        let output = module(input).reshaped([tokens, 1, width]).broadcast(streams.shape)
        return streams + output * (weights(1) * magnitude + epsilon).reshaped([tokens, count, 1])
    }

    /// `[T, n, D] → [T, D]`: a weighted sum of the streams.
    func collapsed(_ model: Scope, _ name: String, _ streams: Value, _ normalization: Normalization) -> Value {
        let logits = logits(model, name, streams, count, normalization)
        let scaled = logits * model.weight("\(name)_scale.weight", [1], .scale)
        return summed(streams, (scaled + model.weight("\(name)_base.weight", [count], .bias))(.sigmoid) + epsilon)
    }

    private func logits(
        _ scope: Scope, _ name: String, _ streams: Value, _ outputs: Int, _ normalization: Normalization
    ) -> Value {
        let flat = streams.reshaped([streams.shape[0], count * streams.shape[2]])
        return scope.linear("\(name)_fn", flat.norm(.rms, normalization.epsilon), outputs)
    }

    private func summed(_ streams: Value, _ weights: Value) -> Value {
        let tokens = streams.shape[0]
        return (streams * weights.reshaped([tokens, count, 1])).sum(1).reshaped([tokens, streams.shape[2]])
    }
}
