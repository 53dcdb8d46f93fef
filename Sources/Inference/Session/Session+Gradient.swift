import Devices
import ModelGraph

/// How wrong a model's predictions of a batch are, and what each of its weights has to do with that.
public struct Gradient: Sendable {
    /// The mean cross-entropy of the rows; see `Session.gradient(of:encoding:)`.
    public internal(set) var loss: Double
    /// What the loss changes by with each element of a weight, as it is decoded, by the weight's name. Weights that are
    /// not there have no part in the loss.
    public internal(set) var weights: [String: HostTensor]
}

extension Session {
    /// The mean cross-entropy of a batch's outputs: each is to predict the next token of its sequence in the batch, or,
    /// the last, the first one. Of a model that has no logits, embeddings are taken for logits of as many tokens as
    /// they have elements; where a prompt is decided on, the first option is to be chosen among all. The session begins
    /// anew.
    /// - Parameters:
    ///   - batch: of one kind of tokens, in one micro-batch.
    ///   - source: what is encoded first, of a model with an encoder.
    /// - Throws: `SessionError` or `DeviceError`, as `process`; `GraphError`.
    public func loss(of batch: Batch, encoding source: Batch? = nil) throws -> Double {
        try restart()
        if let source { try encode(source) }
        let results = try run(batch, .loss)
        return results[.loss]?.1.doubles.first ?? .nan
    }

    /// The loss of a batch (`loss(of:encoding:)`) and its gradient.
    /// - Throws: as `loss`; `GraphError` where an op has no derivative.
    public func gradient(of batch: Batch, encoding source: Batch? = nil) throws -> Gradient {
        try restart()
        if let source { try encode(source) }
        var results = try run(batch, .gradient(.crossEntropy))
        var gradient = Gradient(loss: results[.loss]?.1.doubles.first ?? .nan, weights: [:])
        gradient.add(results)
        if let source, let (_, cotangent) = results[.cotangent(.encoderOutput)] {
            let plan = try plan(for: encoderShape(of: source), .gradient(.cotangent))
            var inputs = Self.encoderInputs(of: source)
            inputs[.cotangent] = cotangent
            results = try plan.run(inputs, wanted: wanted(of: plan.graph))
            gradient.add(results)
        }
        return gradient
    }

    private func run(_ batch: Batch, _ derivative: Derivative) throws -> [Graph.Output: (Shape, HostTensor)] {
        try check(batch)
        guard !traits.hasEncoder || encoded != nil else { throw SessionError("the decoder needs an encoder's output") }
        guard batch.tokens.parts(of: options.microBatch).count == 1 else {
            throw SessionError("a loss of \(batch.tokens.count) tokens that are more than one micro-batch")
        }
        if !traits.isBidirectional { try checkPositions(batch) }
        let tokens = batch.tokens[...]
        var common = Self.inputs(tokens)
        if hasCells {
            guard let taken = cells.take(tokens) else {
                throw SessionError("\(tokens.count) tokens do not fit in \(context) cells")
            }
            common[.cells] = .index(taken.map { Int32($0) })
        }
        let layout = try layout(of: tokens)
        let plan = try plan(for: layout.shape, derivative)
        var inputs = inputs(of: tokens, layout, for: plan.graph, common)
        inputs[.targets] = .index(targets(of: tokens, layout).map { Int32($0 % plan.graph.classes) })
        return try plan.run(inputs, wanted: wanted(of: plan.graph))
    }

    /// The number of the token that each row of the output is to predict; of pooled tokens, their first; of options, the
    /// first.
    private func targets(of tokens: ArraySlice<Batch.Token>, _ layout: Layout) -> [Int] {
        if traits.decides { return [0] }
        func first(of sequences: SequenceSet) -> Int {
            tokens.first { $0.sequences.meets(sequences) }?.number ?? 0
        }
        if let pool = layout.pool { return pool.sequences.map { first(of: SequenceSet($0)) } }
        return layout.rows.map { row in
            let token = tokens[row]
            let later = tokens.filter { $0.position > token.position && $0.sequences.meets(token.sequences) }
            return later.min { $0.position < $1.position }?.number ?? first(of: token.sequences)
        }
    }
}

extension Gradient {
    fileprivate mutating func add(_ results: [Graph.Output: (Shape, HostTensor)]) {
        for (output, (_, elements)) in results {
            guard case .gradient(let name) = output else { continue }
            weights[name] = weights[name].map { .double(zip($0.doubles, elements.doubles).map { $0 + $1 }) } ?? elements
        }
    }
}

extension Graph {
    /// How many things its rows tell apart.
    fileprivate var classes: Int {
        guard let node = nodes.first(where: { $0.op == .crossEntropy }) else { return 1 }
        return values[node.operands[0]].shape.last
    }
}
