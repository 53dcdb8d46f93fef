import ModelGraph

/// A node as a fault finds it when a device compiles it.
struct Site {
    let graph: Graph
    let index: Int

    var node: Node { graph.nodes[index] }
    var op: Op { node.op }
    var operands: [ValueID] { node.operands }
    /// Of the result.
    var shape: Shape { graph.values[node.result].shape }
    /// Of an operand.
    func shape(_ operand: Int) -> Shape { graph.values[operands[operand]].shape }

    /// The node that makes an operand; nil for weights and inputs.
    func producer(_ operand: Int) -> Site? {
        guard case .node(let index) = graph.values[operands[operand]].source else { return nil }
        return Site(graph: graph, index: index)
    }
    func weight(_ operand: Int) -> Weight? {
        guard case .weight(let index) = graph.values[operands[operand]].source else { return nil }
        return graph.weights[index]
    }
    func isInput(_ operand: Int, _ input: Input) -> Bool { graph.values[operands[operand]].source == .input(input) }
}

/// What becomes of a node.
enum Change {
    /// Another op, and other operands, in its place.
    case op(Op, [ValueID])
    /// The node runs on its own, and the fault has a hand in what goes in and what comes out.
    case around((inout Call) throws -> Void)

    /// Another op on the same operands.
    static func op(_ op: Op, of site: Site) -> Change { .op(op, site.operands) }

    /// The node is given other operands. Those that are weights hold no elements here.
    static func operands(_ edit: @escaping (inout [Elements]) throws -> Void) -> Change {
        .around { call in
            try edit(&call.operands)
            try call.run()
        }
    }

    /// The node is given another operand.
    static func operand(_ index: Int, _ edit: @escaping (inout Elements) throws -> Void) -> Change {
        .operands { try edit(&$0[index]) }
    }

    /// The node's result is changed, which sees the operands too.
    static func result(_ edit: @escaping (inout Elements, [Elements]) throws -> Void) -> Change {
        .around { call in
            try call.run()
            try edit(&call.result, call.operands)
        }
    }
}
