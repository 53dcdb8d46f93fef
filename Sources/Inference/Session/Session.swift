import Architectures
import Devices
import ModelGraph

/// One model on one placement, with its caches: takes batches of tokens, gives logits or embeddings.
///
/// Sequences are independent of each other. A batch is checked as a whole before anything changes; if a
/// device fails half-way (`DeviceError`), the session holds part of the batch and should be cleared.
public final class Session {
    public let model: Model
    public let placement: Placement
    public let options: SessionOptions
    /// Cells of the caches.
    public let context: Int
    /// The nodes that run on `cpu` because their own device cannot run them.
    public private(set) var fallbacks: [Fallback] = []

    let devices: DeviceSet
    let weights: LoadedWeights
    var states = StateStore()
    var cells: CellTable
    /// The positions that each sequence's recurrent state has seen.
    var seen: [ClosedRange<Int>?]
    var encoded: EncoderOutput?
    /// Columns of the encoder's output that the decoder reads.
    private(set) var encoderWidth: Int?
    /// Positions that the model has learned embeddings for; nil where positions are not looked up.
    private(set) var positionLimit: Int?
    private var plans = ShapeCache<Plan>()
    private var derivativePlans: [Derivative: ShapeCache<Plan>] = [:]

    /// What cross-attention reads.
    struct EncoderOutput {
        var sequences: [SequenceSet]
        var width: Int
        /// `[sequences.count, width]`
        var elements: HostTensor
    }

    /// - Parameters:
    ///   - model: what it runs.
    ///   - placement: which device holds which layer or tensor.
    ///   - devices: those that the placement may name.
    ///   - options: sizes of the caches and of micro-batches, and what is wanted of a batch.
    ///   - weights: those of another session of this model and thread, to share.
    /// - Throws: `SessionError` for options out of range, `PlacementError` for a device that is not there,
    ///   `DeviceError` for one that fails or, if the options are strict, cannot run a node.
    public init(
        _ model: Model, placement: Placement, devices: DeviceSet, options: SessionOptions = SessionOptions(),
        weights: LoadedWeights? = nil
    ) throws {
        guard (1...SequenceSet.capacity).contains(options.sequences) else {
            throw SessionError("\(options.sequences) sequences: must be 1 to \(SequenceSet.capacity)")
        }
        guard options.microBatch > 0 else { throw SessionError("a micro-batch of \(options.microBatch) tokens") }
        context = options.context ?? min(4096, model.architecture.dimensions.context)
        guard (1...1 << 24).contains(context) else {
            throw SessionError("a context of \(context) cells: must be 1 to \(1 << 24)")
        }
        let pooling = model.architecture.traits.pooling
        guard options.pooling == nil || (options.pooling == .rank) == (pooling == .rank) else {
            throw SessionError(
                "the model \(pooling == .rank ? "classifies" : "does not classify"): "
                    + "\(options.pooling?.name ?? "") pooling is not possible")
        }
        guard options.pooling == nil || !model.architecture.traits.decides else {
            throw SessionError("the model decides on questions: no pooling is possible")
        }
        guard weights == nil || weights?.model === model else {
            throw SessionError("the shared weights are another model's")
        }

        self.model = model
        self.placement = placement
        self.devices = devices
        self.options = options
        self.weights = weights ?? LoadedWeights(model)
        cells = CellTable(count: context)
        seen = Array(repeating: nil, count: options.sequences)

        // The smallest graph of each stage says where states live and what falls back.
        for stage in model.architecture.traits.stages {
            let graph = try model.graph(
                BatchShape(
                    stage: stage, tokens: 1, outputs: 1, cells: min(32, context), encoderTokens: 1, context: context))
            if let id = graph.inputs[.encoderOutput] { encoderWidth = graph.values[id].shape.last }
            if let limit = graph.limit(of: .positions) { positionLimit = min(limit, positionLimit ?? limit) }
            let assignment = try assign(graph)
            for state in graph.states where states[state.name] == nil {
                guard let node = graph.nodes.firstIndex(where: { $0.op.state == state.id }) else { continue }
                try states.allocate(
                    state, on: assignment.devices[node],
                    rows: state.kind == .cache ? context : options.sequences,
                    type: state.kind == .cache ? options.cacheType(of: state) : .full)
            }
        }
    }

    // MARK: What this model needs

    var traits: Traits { model.architecture.traits }
    var pooling: Pooling { options.pooling ?? traits.pooling }
    /// Whether a batch is computed by itself: see `Traits`.
    var isOfWholeBatches: Bool { traits.isBidirectional || pooling != .none || traits.decides }
    var isRecurrent: Bool { states.has(.recurrent) }
    var hasCache: Bool { states.has(.cache) }
    /// Whether each token takes a cell; so it does even where no layer has a cache or any other memory.
    var hasCells: Bool { hasCache || !isRecurrent && !traits.isBidirectional }

    // MARK: Graphs

    private func assign(_ graph: Graph) throws -> Assignment {
        let assignment = try Assignment(
            graph, placement: placement, devices: devices, homes: states.homes,
            weightTypes: graph.weights.map(model.type(of:)))
        for fallback in assignment.fallbacks where !fallbacks.contains(fallback) {
            if options.isStrict { throw DeviceError(device: fallback.device, reason: fallback.description) }
            fallbacks.append(fallback)
        }
        return assignment
    }

    /// Logits where the model has them; embeddings where it has nothing else, or if they are asked for; and all blocks,
    /// if these are.
    func wanted(of graph: Graph) -> [Graph.Output] {
        graph.outputs.keys.filter { output in
            switch output {
            case .logits, .block, .loss, .gradient, .cotangent: true
            case .embeddings: graph.outputs[.logits] == nil || options.wantsEmbeddings
            }
        }
    }

    func compile(_ graph: Graph) throws -> Plan {
        try Plan(graph, assign(graph), wanted: wanted(of: graph), weights: weights, states: states)
    }

    func plan(for shape: BatchShape) throws -> Plan {
        if let plan = plans[shape] { return plan }
        let graph = try model.graph(shape)
        let plan = try compile(options.wantsBlocks ? graph.withBlocks : graph)
        plans.insert(plan, plan.graph, for: shape)
        return plan
    }

    /// Goes on with other elements in place of weights', of the same shapes and types, by name. What the session
    /// remembers was made with the old ones; it shares its weights with no other session.
    public func replaceWeights(by new: [String: TensorData]) throws {
        weights.replace(by: new)
        try plans.update { try $0.reload(weights) }
        for derivative in derivativePlans.keys { try derivativePlans[derivative]?.update { try $0.reload(weights) } }
    }

    /// What stands in a graph's place where its loss is asked for.
    enum Derivative: Hashable {
        case loss
        case gradient(Graph.Objective)
    }

    func plan(for shape: BatchShape, _ derivative: Derivative) throws -> Plan {
        if let plan = derivativePlans[derivative]?[shape] { return plan }
        let graph = try model.graph(shape)
        let derived = switch derivative {
        case .loss: try graph.withLoss()
        case .gradient(let objective): try graph.differentiated(objective)
        }
        let plan = try compile(derived)
        derivativePlans[derivative, default: ShapeCache()].insert(plan, plan.graph, for: shape)
        return plan
    }
}
