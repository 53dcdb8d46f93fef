import ModelGraph
import Testing

@Suite struct GraphRewritingTests {
    private func graph() throws -> Graph {
        let builder = GraphBuilder(batch: BatchShape(tokens: 3, outputs: 1, cells: 3)) { _ in true }
        let x = builder.weight("table", [8, 4], .embedding).rows(builder.tokens)
        builder.output(.embeddings, x(.relu) + x)
        return try builder.finish()
    }

    @Test func replacedNodeKeepsItsResult() throws {
        var graph = try graph()
        let before = graph.nodes[1]
        try graph.replace(node: 1, by: .unary(.gelu), before.operands)
        #expect(graph.nodes[1].op == .unary(.gelu))
        #expect(graph.nodes[1].result == before.result)
    }

    @Test func opThatDoesNotFitIsRefused() throws {
        var graph = try graph()
        let node = graph.nodes[1]
        // Operands that the op does not take, and a result that the node's readers do not.
        #expect(throws: GraphError.self) { try graph.replace(node: 1, by: .matmul, node.operands) }
        #expect(throws: GraphError.self) { try graph.replace(node: 1, by: .sum(axis: 1), node.operands) }
        #expect(graph.nodes[1] == node)
    }

    @Test func duplicateIsAnotherValueOfTheSameShape() throws {
        var graph = try graph()
        let value = graph.nodes[1].result
        let copy = graph.duplicate(value)
        #expect(copy != value)
        #expect(graph.values[copy].shape == graph.values[value].shape)
        #expect(graph.values[copy].source == graph.values[value].source)
    }
}
