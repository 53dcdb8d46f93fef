import Architectures
import ModelGraph

/// What a model's sessions can do, as its graph says.
public struct SessionTraits: Hashable, Sendable {
    public let dimensions: Dimensions
    public let traits: Traits
    /// Whether a state is of a whole sequence: it has no past to remove, and no gaps.
    public let isRecurrent: Bool
    /// Whether keys and values of each token are kept.
    public let hasCache: Bool
    /// Elements that are kept of each cell, of all layers together, and of each sequence as a whole.
    public let cellElements, sequenceElements: Int
    /// Whether values have a cache of their own.
    public let hasValueCache: Bool
    /// Whether some tokens see a part of their sequence only.
    public let hasWindows: Bool
    /// Whether the rows of the caches, one a head, are whole blocks of 32 elements, as the narrowest types need.
    public let hasBlockCache: Bool
    /// Positions that the model has learned embeddings for; nil where positions are not looked up.
    public let positionLimit: Int?
    /// Whether it says which token comes next.
    public let hasLogits: Bool
    /// Whether results depend on differences of positions only, so that a shifted sequence goes on as if it had been
    /// where it is.
    public let isShiftInvariant: Bool
    /// Whether positions lie in windows that mean something as a whole: no position may be left out.
    public let hasPositionWindows: Bool

    /// - Parameters:
    ///   - architecture: of the model.
    ///   - optional: the optional tensors that the model has.
    /// - Throws: `GraphError`.
    public init(_ architecture: any Architecture, optional: OptionalTensors) throws {
        self.init(architecture, try architecture.smallestGraphs(optional.contains))
    }

    public init(_ model: DrawnModel) { self.init(model.architecture, model.graphs) }

    private init(_ architecture: any Architecture, _ graphs: [Graph]) {
        let states = graphs.flatMap(\.states)
        dimensions = architecture.dimensions
        traits = architecture.traits
        isRecurrent = states.contains { $0.kind == .recurrent }
        let caches = states.filter { $0.kind == .cache }
        hasCache = !caches.isEmpty
        cellElements = caches.reduce(0) { $0 + $1.row.count }
        sequenceElements = states.reduce(0) { $0 + $1.row.count } - cellElements
        hasValueCache = caches.contains(where: \.holdsValues)
        hasWindows = graphs.contains { graph in
            graph.nodes.contains { if case .mask(let mask) = $0.op { mask.window != .unlimited } else { false } }
        }
        hasBlockCache = hasCache && caches.allSatisfy { $0.row.last.isMultiple(of: 32) }
        hasLogits = graphs.contains { $0.outputs[.logits] != nil }
        positionLimit = graphs.compactMap { $0.limit(of: .positions) }.min()
        hasPositionWindows = graphs.contains { graph in
            graph.nodes.contains { if case .windowPosition = $0.op { true } else { false } }
        }
        isShiftInvariant = !graphs.contains { graph in
            graph.nodes.contains { node in
                switch node.op {
                case .attentionTemperature, .windowPosition, .topBlocks: true
                case .mask(let mask): if case .chunked = mask.window { true } else { false }
                case .rows: node.operands.last == graph.inputs[.positions]
                // Weights of elements that were rotated: what is cached cannot be rotated on.
                case .norm(_, _, weight: true, _): graph.isRotated(node.operands[0])
                default: false
                }
            }
        }
    }

    /// Whether a batch may have a token of this number: see `Traits`.
    public func takes(_ id: Int) -> Bool {
        traits.takes(id, wholeBatches: traits.isOfWholeBatches, vocabulary: dimensions.vocabulary)
    }

    /// Whether positions can change after the fact.
    public var canShift: Bool { !isRecurrent && !traits.isOfWholeBatches }
}

extension Graph {
    /// Whether a value comes from a rotation, just so.
    fileprivate func isRotated(_ value: ValueID) -> Bool {
        guard case .node(let index) = values[value].source, case .rope = nodes[index].op else { return false }
        return true
    }
}
