/// What adapters add to a model: products beside those of some of its weights, and directions in its residual stream.
public struct Adaptation: Sendable {
    /// `factor · B · A` beside a matrix, whose result with an `x` it adds to: `x · Wᵀ + factor · (x · Aᵀ) · Bᵀ`.
    /// Source: Hu et al. 2021 (LoRA), equation 3.
    public struct LowRank: Sendable {
        /// `A`, `[rank, K]` or `[E, rank, K]`; an `embedding`, `[N, rank]`, where it is of the tokens' embedding, whose
        /// rows are looked up.
        public var down: Weight
        /// `B`, `[N, rank]` or `[E, N, rank]`; of the tokens' embedding `[D, rank]`.
        public var up: Weight
        public var factor: Double

        public init(down: Weight, up: Weight, factor: Double) {
            (self.down, self.up, self.factor) = (down, up, factor)
        }
    }

    /// What is added to every token's row of the residual stream after a block.
    /// Source: Zou et al. 2023, "Representation Engineering", whose control vectors these are.
    public struct Direction: Sendable {
        /// `[D]`
        public var weight: Weight
        public var factor: Double

        public init(_ weight: Weight, factor: Double) { (self.weight, self.factor) = (weight, factor) }
    }

    /// By the name of the weight.
    public var products: [String: [LowRank]] = [:]
    /// By the number of the block.
    public var directions: [Int: [Direction]] = [:]

    public init() {}

    /// Whose rows are looked up: adapters hold `A` and `B` of its transpose, `A` transposed once more.
    public static let embedding = "token_embd.weight"
}

extension Graph {
    /// Names of the weights that products can be added beside: matrices that rows are multiplied with and nothing else,
    /// and the tokens' embedding.
    public var adaptableWeights: Set<String> {
        let (matrices, others) = usesOfWeights
        return matrices.subtracting(others)
    }

    /// Names of the weights that are used as matrices, and of those that are used otherwise.
    private var usesOfWeights: (asMatrices: Set<String>, otherwise: Set<String>) {
        var (matrices, others): (Set<Int>, Set<Int>) = ([], [])
        for node in nodes {
            let matrix = matrix(of: node)
            if let matrix { matrices.insert(matrix) }
            for (place, operand) in node.operands.enumerated() {
                guard case .weight(let index) = values[operand].source else { continue }
                if index != matrix || place != node.op.placeOfMatrix { others.insert(index) }
            }
        }
        return (Set(matrices.map { weights[$0].name }), Set(others.map { weights[$0].name }))
    }

    /// The number of the weight that a node multiplies rows with, or looks tokens up in.
    fileprivate func matrix(of node: Node) -> Int? {
        guard let place = node.op.placeOfMatrix, case .weight(let index) = values[node.operands[place]].source else {
            return nil
        }
        return node.op != .rows || weights[index].name == Adaptation.embedding ? index : nil
    }

    /// The residual stream after each block, as the last of the block's nodes makes it: `[T, width]`. Empty where it is
    /// more than one stream, or where blocks are passed several times.
    /// - Parameter width: of the residual stream.
    public func residualStreams(width: Int) -> [Int: ValueID] {
        var ends: [Int: ValueID] = [:]
        var last: Int?
        for node in nodes {
            guard let layer = node.layer else { continue }
            if layer != last, ends[layer] != nil { return [:] }
            (ends[layer], last) = (node.result, layer)
        }
        let areStreams = ends.values.allSatisfy { values[$0].shape.rank == 2 && values[$0].shape.last == width }
        return areStreams ? ends : [:]
    }

    /// The same graph with what adapters add.
    /// - Throws: `GraphError` for a weight or a block that nothing can be added to, or what does not fit it.
    public func adapted(by adaptation: Adaptation) throws -> Graph {
        if let name = usesOfWeights.otherwise.intersection(adaptation.products.keys).min() {
            throw GraphError(op: name, layer: nil, reason: "is more than a matrix that rows are multiplied with")
        }
        var directions: [ValueID: [Adaptation.Direction]] = [:]
        for (layer, own) in adaptation.directions.sorted(by: { $0.key < $1.key }) {
            guard let width = own.first?.weight.shape.last, let end = residualStreams(width: width)[layer] else {
                throw GraphError(op: "direction", layer: layer, reason: "there is no such residual stream after it")
            }
            directions[end] = own
        }
        var adapting = AdaptingGraph(self)
        for node in nodes {
            try adapting.record(
                node, products: matrix(of: node).flatMap { adaptation.products[weights[$0].name] } ?? [],
                directions: directions[node.result] ?? [])
        }
        return adapting.graph
    }
}

extension Op {
    /// Which operand a matrix is that rows are multiplied with, or looked up in.
    fileprivate var placeOfMatrix: Int? {
        switch self {
        case .matmul, .expertMatmul, .headMatmul: 1
        case .rows: 0
        default: nil
        }
    }
}

/// A graph whose nodes are recorded again, with others after them.
private struct AdaptingGraph {
    private(set) var graph: Graph
    private var known: [String: ValueID] = [:]

    init(_ original: Graph) {
        graph = original
        graph.nodes = []
    }

    /// Whatever reads the node's result reads the sum.
    mutating func record(
        _ node: Node, products: [Adaptation.LowRank], directions: [Adaptation.Direction]
    ) throws {
        guard !products.isEmpty || !directions.isEmpty else { return append(node) }
        var bare = node
        bare.result = graph.duplicate(node.result)
        append(bare)
        var sum = bare.result
        for product in products {
            let added = try value(of: product, beside: node)
            sum = try apply(.binary(.add), [sum, scaled(added, product.factor, node.layer)], node.layer)
        }
        for direction in directions {
            let added = try scaled(weight(direction.weight), direction.factor, node.layer)
            sum = try apply(.binary(.add), [sum, added], node.layer)
        }
        var last = graph.nodes.removeLast()
        last.result = node.result
        append(last)
    }

    private mutating func value(of product: Adaptation.LowRank, beside node: Node) throws -> ValueID {
        let (down, up) = (weight(product.down), weight(product.up))
        let (x, others) = (node.operands[0], node.operands.dropFirst(2))
        func multiplied(_ op: Op, _ operands: [ValueID]) throws -> ValueID { try apply(op, operands, node.layer) }
        if node.op == .rows { return try multiplied(.matmul, [multiplied(.rows, [down, node.operands[1]]), up]) }
        let isOfEmbedding = product.down.role == .embedding
        let first = try isOfEmbedding ? multiplied(.permute(axes: [1, 0]), [up]) : down
        let inner = try multiplied(node.op, [x, first] + others)
        return try multiplied(node.op, [inner, isOfEmbedding ? down : up] + others)
    }

    private mutating func scaled(_ value: ValueID, _ factor: Double, _ layer: Int?) throws -> ValueID {
        factor == 1 ? value : try apply(.affine(scale: factor, bias: 0), [value], layer)
    }

    private mutating func weight(_ weight: Weight) -> ValueID {
        if let known = known[weight.name] { return known }
        graph.values.append(.init(shape: weight.shape, element: .real, source: .weight(graph.weights.count)))
        graph.weights.append(weight)
        known[weight.name] = graph.values.count - 1
        return graph.values.count - 1
    }

    private mutating func apply(_ op: Op, _ operands: [ValueID], _ layer: Int?) throws -> ValueID {
        let result: (shape: Shape, element: Element)
        do {
            result = try op.result(of: operands.map { graph.values[$0] }, states: graph.states)
        } catch {
            throw GraphError(op: op.name, layer: layer, reason: error.reason)
        }
        graph.values.append(.init(shape: result.shape, element: result.element, source: .node(graph.nodes.count)))
        let value = graph.values.count - 1
        graph.nodes.append(Node(op: op, operands: operands, result: value, layer: layer))
        return value
    }

    private mutating func append(_ node: Node) {
        graph.values[node.result].source = .node(graph.nodes.count)
        graph.nodes.append(node)
    }
}
