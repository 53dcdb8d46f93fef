import ModelGraph
import Testing

@Suite("Buffer plan") struct BufferPlanTests {
    /// A residual block over `[4, 10]`, whose input is read again at its end.
    private func block() throws -> Graph {
        let builder = GraphBuilder(batch: .init(tokens: 4, outputs: 4, cells: 4), hasTensor: { _ in true })
        let x = builder.input(.pooling, [4, 10])
        let weight = builder.weight("w", [10, 10], .projection)
        let kept = x.matmul(weight)
        var y = kept
        for _ in 0..<6 { y = y(.silu) }
        let flat = y.reshaped([40])
        let sum = flat.reshaped([4, 10]) + kept
        builder.output(.logits, sum)
        return try builder.finish()
    }

    private func plan(_ graph: Graph, outputs: [ValueID]? = nil) -> BufferPlan {
        BufferPlan(
            graph: graph, nodes: graph.nodes.indices, inputs: Array(graph.inputs.values),
            outputs: outputs ?? Array(graph.outputs.values))
    }

    @Test("values that live at the same time never share room")
    func overlap() throws {
        let graph = try block()
        let plan = plan(graph)
        let inputs = Set(graph.inputs.values), outputs = Set(graph.outputs.values)
        // Every value's last reader, reshapes counting for their operand as well.
        func lifetime(_ value: ValueID) -> ClosedRange<Int> {
            let made = graph.nodes.firstIndex { $0.result == value } ?? -1
            if inputs.contains(value) || outputs.contains(value) { return made...graph.nodes.count }
            var last = made
            for (index, node) in graph.nodes.enumerated() where node.operands.contains(value) {
                last = max(last, index)
                if case .reshape = node.op { last = max(last, lifetime(node.result).upperBound) }
            }
            return made...last
        }
        var compared = 0
        for a in graph.values.indices {
            for b in graph.values.indices where a < b {
                guard case .arena(let i)? = plan[a], case .arena(let j)? = plan[b], i < plan.arenaSize else { continue }
                let isReshape = graph.nodes.contains { node in
                    if case .reshape = node.op { [a, b].contains(node.result) } else { false }
                }
                guard !isReshape, lifetime(a).overlaps(lifetime(b)) else { continue }
                compared += 1
                let (m, n) = (graph.values[a].shape.count, graph.values[b].shape.count)
                #expect(i + m <= j || j + n <= i, "values \(a) and \(b)")
            }
        }
        #expect(compared > 5)
    }

    @Test("a chain takes the room of two values, however long")
    func reuse() throws {
        // Input, kept value, and the two ends of the chain; 40 elements take one unit of alignment.
        let graph = try block()
        #expect(plan(graph).arenaSize == 4 * BufferPlan.alignment)
    }

    @Test("places are aligned, reshapes alias, weights and states stay where they are")
    func places() throws {
        let builder = GraphBuilder(batch: .init(tokens: 2, outputs: 2, cells: 3), hasTensor: { _ in true })
        let weight = builder.weight("w", [5, 7], .embedding)
        let x = weight.rows(builder.tokens)
        let cache = builder.state("k", .cache, row: [7])
        let stored = builder.apply(.store(cache, cells: 3), x, builder.cells)
        let flat = stored.reshaped([21])
        let y = stored + stored
        builder.output(.logits, y)
        let graph = try builder.finish()
        let plan = plan(graph)
        #expect(plan[weight.id] == .weight(0))
        #expect(plan[stored.id] == .state(cache))
        #expect(plan[flat.id] == .state(cache))
        for id in [x.id, y.id, builder.tokens.id] {
            guard case .arena(let offset)? = plan[id] else { Issue.record("value \(id) has no place"); continue }
            #expect(offset % BufferPlan.alignment == 0)
        }
    }

    @Test("an output keeps its room to the end")
    func outputs() throws {
        let graph = try block()
        let early = graph.nodes[0].result, late = graph.nodes[5].result
        let plan = plan(graph, outputs: [early, late])
        let places = graph.nodes[6...].map { plan[$0.result] }
        #expect(!places.contains(plan[early]))
        #expect(plan[late] != plan[early])
    }
}
