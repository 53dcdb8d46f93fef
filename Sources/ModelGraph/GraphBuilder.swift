/// The extents that fix a graph: a graph is built once for each and kept.
public struct BatchShape: Hashable, Sendable {
    public enum Stage: Hashable, Sendable {
        /// The encoder of an encoder-decoder model.
        case encode
        /// The model itself.
        case decode
        /// One of the blocks after it, which predict further tokens, counted from 0.
        case predict(block: Int)
    }
    public var stage: Stage
    /// `T`: tokens of the batch.
    public var tokens: Int
    /// `R`: tokens whose output is wanted.
    public var outputs: Int
    /// `C`: leading cells of the caches that attention reads.
    public var cells: Int
    /// `X`: encoder tokens that cross-attention reads.
    public var encoderTokens: Int
    /// Tokens that a sequence may grow to; LongRoPE chooses its factors by it.
    public var context: Int
    /// `S`: sequences whose embeddings are pooled; nil: outputs are token by token.
    public var pooledSequences: Int?
    /// Whether tokens are given as embeddings, and not by their ids.
    public var isEmbedded: Bool
    /// `Q` and `O`: questions that the batch asks, and options of all of them.
    public var questions: Int
    public var options: Int

    public init(
        stage: Stage = .decode, tokens: Int, outputs: Int, cells: Int, encoderTokens: Int = 0,
        context: Int = 0, pooledSequences: Int? = nil, isEmbedded: Bool = false, questions: Int = 1, options: Int = 1
    ) {
        self.stage = stage
        self.tokens = tokens
        self.outputs = outputs
        self.cells = cells
        self.encoderTokens = encoderTokens
        self.context = context
        self.pooledSequences = pooledSequences
        self.isEmbedded = isEmbedded
        self.questions = questions
        self.options = options
    }

    /// The smallest graph that names every weight: for the inventory.
    public static func inventory(_ stage: Stage) -> BatchShape {
        BatchShape(stage: stage, tokens: 1, outputs: 1, cells: 1, encoderTokens: 1)
    }
}

/// Records ops as an architecture describes itself.
///
/// Building never throws half-way: the first op whose operands do not fit is kept, and `finish()`
/// throws it, so that model code reads as formulas.
public final class GraphBuilder {
    public let batch: BatchShape
    private let hasTensor: (String, Presence) -> Bool
    private var graph = Graph()
    private var weightIDs: [String: ValueID] = [:]
    private var shared: [SharedKey: ValueID] = [:]
    private var error: GraphError?
    /// The block that new ops and states belong to.
    public var layer: Int?

    /// Which models have a tensor that a model may have, for drawing them; `unasked`: none, but those of files.
    public enum Presence: Hashable, Sendable { case some, few, most, unasked }

    /// - Parameter hasTensor: whether the model has the optional tensor of this name.
    public init(batch: BatchShape, hasTensor: @escaping (String, Presence) -> Bool) {
        self.batch = batch
        self.hasTensor = hasTensor
        graph.values.reserveCapacity(256)
        graph.nodes.reserveCapacity(256)
    }

    /// - Parameter hasTensor: whether the model has the optional tensor of this name, whichever others do.
    public convenience init(batch: BatchShape, hasTensor: @escaping (String) -> Bool) {
        self.init(batch: batch) { name, _ in hasTensor(name) }
    }

    /// Goes on with a graph that is built already.
    init(continuing graph: Graph) {
        batch = BatchShape(tokens: 0, outputs: 0, cells: 0)
        hasTensor = { _, _ in false }
        self.graph = graph
    }

    private struct SharedKey: Hashable {
        var op: Op
        var operands: [ValueID]
    }

    // MARK: Values

    /// Whether the model has an optional tensor; for alternatives that need several.
    public func has(_ name: String, presence: Presence = .some) -> Bool { hasTensor(name, presence) }

    public func input(_ input: Input, _ shape: Shape) -> Value {
        if let id = graph.inputs[input] {
            if graph.values[id].shape != shape {
                fail(input.rawValue, "asked for as \(graph.values[id].shape) and as \(shape)")
            }
            return value(id)
        }
        let id = append(shape, input.element, .input(input))
        graph.inputs[input] = id
        return value(id)
    }

    /// A weight that the model must have.
    public func weight(_ name: String, _ shape: Shape, _ role: Weight.Role) -> Value {
        declare(Weight(name: name, shape: shape, role: role, isOptional: false, layer: layer))
    }

    /// A weight that the model may have; nil where it has not.
    /// - Parameter presence: which models do.
    public func optionalWeight(
        _ name: String, _ shape: Shape, _ role: Weight.Role, presence: Presence = .some
    ) -> Value? {
        guard hasTensor(name, presence) else { return nil }
        return declare(Weight(name: name, shape: shape, role: role, isOptional: true, layer: layer))
    }

    /// Distinct whole numbers that the model must have.
    public func places(_ name: String, count: Int, below bound: Int) -> Value {
        declare(Weight(name: name, shape: [count], role: .places, isOptional: true, layer: layer, bound: bound))
    }

    /// How keys are rotated before they are stored in a cache.
    public func rotation(_ rope: Rope, factors: Value? = nil) -> State.Rotation {
        let name = factors.flatMap { value -> String? in
            guard case .weight(let index) = graph.values[value.id].source else { return nil }
            return graph.weights[index].name
        }
        return State.Rotation(rope: rope, factors: name)
    }

    private func declare(_ weight: Weight) -> Value {
        if let id = weightIDs[weight.name] {
            if graph.values[id].shape != weight.shape {
                fail(weight.name, "asked for as \(graph.values[id].shape) and as \(weight.shape)")
            }
            return value(id)
        }
        let id = append(weight.shape, .real, .weight(graph.weights.count))
        graph.weights.append(weight)
        weightIDs[weight.name] = id
        return value(id)
    }

    public func state(
        _ name: String, _ kind: State.Kind, row: Shape, rotation: State.Rotation? = nil, holdsValues: Bool = false
    ) -> StateID {
        if graph.states.contains(where: { $0.name == name }) { fail(name, "declared twice") }
        graph.states.append(
            State(
                id: graph.states.count, name: name, kind: kind, row: row, rotation: rotation, holdsValues: holdsValues,
                layer: layer))
        return graph.states.count - 1
    }

    public func apply(_ op: Op, _ operands: Value...) -> Value { apply(op, operands) }

    public func apply(_ op: Op, _ operands: [Value]) -> Value {
        let infos = operands.map { graph.values[$0.id] }
        let result: (shape: Shape, element: Element)
        do {
            result = try op.result(of: infos, states: graph.states)
        } catch {
            fail(op.name, error.reason)
            // Anything of a plausible shape lets the model's code run on to its end.
            result = (infos.first?.shape ?? [1], infos.first?.element ?? .real)
        }
        let id = append(result.shape, result.element, .node(graph.nodes.count))
        graph.nodes.append(Node(op: op, operands: operands.map(\.id), result: id, layer: layer))
        return value(id)
    }

    /// An op that many layers ask for with the same operands (a mask, a position bias) is recorded once.
    public func applyShared(_ op: Op, _ operands: Value...) -> Value {
        let key = SharedKey(op: op, operands: operands.map(\.id))
        if let id = shared[key] { return value(id) }
        let result = apply(op, operands)
        shared[key] = result.id
        return result
    }

    public func output(_ output: Graph.Output, _ value: Value) { graph.outputs[output] = value.id }

    /// - Throws: `GraphError`, the first op whose operands did not fit.
    public func finish() throws -> Graph {
        if let error { throw error }
        return graph
    }

    public func fail(_ op: String, _ reason: String) {
        if error == nil { error = GraphError(op: op, layer: layer, reason: reason) }
    }

    // MARK: What is recorded already, for derivatives

    var nodeCount: Int { graph.nodes.count }
    func node(_ index: Int) -> Node { graph.nodes[index] }
    func existing(_ id: ValueID) -> Value { value(id) }
    func element(of id: ValueID) -> Element { graph.values[id].element }

    private func append(_ shape: Shape, _ element: Element, _ source: Source) -> ValueID {
        graph.values.append(.init(shape: shape, element: element, source: source))
        return graph.values.count - 1
    }
    private func value(_ id: ValueID) -> Value { Value(builder: self, id: id, shape: graph.values[id].shape) }

    // MARK: The inputs that models use

    public var tokens: Value { input(.tokens, [batch.tokens]) }
    public var positions: Value { input(.positions, [batch.tokens]) }
    public var sequences: Value { input(.sequences, [batch.tokens]) }
    public var slots: Value { input(.slots, [batch.tokens]) }
    public var cells: Value { input(.cells, [batch.tokens]) }
    public var cellPositions: Value { input(.cellPositions, [batch.cells]) }
    public var cellSequences: Value { input(.cellSequences, [batch.cells]) }
    public var outputs: Value { input(.outputs, [batch.outputs]) }
}
