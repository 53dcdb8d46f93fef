import ModelGraph
import Testing

@Suite("Building graphs")
struct GraphBuilderTests {
    func builder(tokens: Int = 4, cells: Int = 32, having present: Set<String> = []) -> GraphBuilder {
        GraphBuilder(batch: BatchShape(tokens: tokens, outputs: 1, cells: cells)) { present.contains($0) }
    }

    @Test("a mismatch names the op, the layer and the extents")
    func mismatchIsExplained() {
        let g = builder()
        g.layer = 3
        let x = g.weight("table", [8, 16], .embedding).rows(g.tokens)
        _ = x.matmul(g.weight("w", [5, 17], .projection))
        let error = #expect(throws: GraphError.self) { try g.finish() }
        #expect(error?.description == "layer 3: matmul: columns of the input and of the weight differ: 16 and 17")
    }

    @Test("the first mismatch is reported, and building goes on to its end")
    func firstMismatchWins() {
        let g = builder()
        let x = g.weight("table", [8, 16], .embedding).rows(g.tokens)
        _ = (x + g.weight("b", [15], .bias)).reshaped([3]).columns(1, 9)
        let error = #expect(throws: GraphError.self) { try g.finish() }
        #expect(error?.op == "binary")
    }

    @Test("an absent optional weight is nil, and a present one is declared")
    func optionalWeights() throws {
        let g = builder(having: ["there"])
        #expect(g.optionalWeight("absent", [2], .bias) == nil)
        #expect(g.optionalWeight("there", [2], .bias)?.shape == [2])
        let graph = try g.finish()
        #expect(graph.weights.map(\.name) == ["there"])
        #expect(graph.weights[0].isOptional)
    }

    @Test("a weight asked for twice is one weight; in another shape it is an error")
    func weightsAreShared() throws {
        let g = builder()
        let a = g.weight("w", [2, 3], .projection)
        let b = g.weight("w", [2, 3], .projection)
        #expect(a.id == b.id)
        #expect(try g.finish().weights.count == 1)
        _ = g.weight("w", [3, 2], .projection)
        #expect(throws: GraphError.self) { try g.finish() }
    }

    @Test("a shared op is recorded once for the same operands")
    func sharedOps() throws {
        let g = builder()
        let mask = Mask(causal: true)
        let one = g.applyShared(.mask(mask), g.positions, g.sequences, g.cellPositions, g.cellSequences)
        let two = g.applyShared(.mask(mask), g.positions, g.sequences, g.cellPositions, g.cellSequences)
        let other = g.applyShared(
            .mask(Mask(causal: false)), g.positions, g.sequences, g.cellPositions, g.cellSequences)
        #expect(one.id == two.id)
        #expect(one.id != other.id)
        #expect(try g.finish().nodes.count == 2)
    }

    @Test("a state op refuses a state of another shape or kind")
    func statesAreChecked() {
        let g = builder()
        let state = g.state("shift", .recurrent, row: [16])
        let x = g.weight("table", [8, 16], .embedding).rows(g.tokens)
        _ = g.apply(.store(state, cells: 32), x, g.cells)
        #expect(throws: GraphError.self) { try g.finish() }
    }

    @Test("what would have more dimensions than a shape is refused")
    func ranksAreBounded() {
        let rows = builder()
        let experts = rows.apply(.topExperts(Routing(used: 2)), rows.weight("scores", [8, 4], .projection))
        _ = rows.apply(.rows, rows.weight("table", [8, 2, 2, 2], .embedding), experts)
        #expect(throws: GraphError.self) { try rows.finish() }

        let states = builder()
        _ = states.apply(.load(states.state("wide", .cache, row: [2, 2, 2, 2]), cells: 4))
        #expect(throws: GraphError.self) { try states.finish() }
    }

    @Test("a window of no extent is refused")
    func windowsHaveExtent() {
        let g = builder()
        let mask = Mask(causal: true, window: .chunked(0))
        _ = g.apply(.mask(mask), g.positions, g.sequences, g.cellPositions, g.cellSequences)
        #expect(throws: GraphError.self) { try g.finish() }
    }

    @Test("query heads must divide among key heads")
    func headsDivide() {
        let g = builder()
        let q = g.weight("q", [4, 3, 8], .projection), k = g.weight("k", [32, 2, 8], .projection)
        let mask = g.weight("mask", [4, 32], .bias)
        _ = g.apply(.attention(Attention(scale: 1, valueSize: 8)), q, k, k, mask)
        let error = #expect(throws: GraphError.self) { try g.finish() }
        #expect(error?.reason == "3 query heads do not divide among 2 key heads")
    }
}

@Suite("Masks and rotations")
struct FormulaTests {
    @Test("a sliding window of n sees exactly n positions", arguments: [1, 2, 5])
    func slidingWindow(_ n: Int) {
        let mask = Mask(causal: true, window: .sliding(n))
        #expect((0..<20).filter { mask.isVisible(cell: $0, from: 10) } == Array(11 - n...10))
    }

    @Test("a chunk ends where the next begins")
    func chunks() {
        let mask = Mask(causal: true, window: .chunked(4))
        #expect((0..<20).filter { mask.isVisible(cell: $0, from: 7) } == [4, 5, 6, 7])
        #expect((0..<20).filter { mask.isVisible(cell: $0, from: 8) } == [8])
    }

    @Test("an empty cell is never seen")
    func emptyCells() {
        #expect(!Mask(causal: false).isVisible(cell: -1, from: 3))
    }

    @Test("YaRN leaves fast pairs alone and interpolates slow ones")
    func yarnEnds() {
        let plain = Rope(pairing: .neox, dimensions: 64, base: 10_000)
        let yarn = Rope(
            pairing: .neox, dimensions: 64, base: 10_000, frequencyScale: 0.25, extrapolation: 1, originalContext: 4096)
        #expect(yarn.frequency(pair: 0, factor: 1) == plain.frequency(pair: 0, factor: 1))
        #expect(abs(yarn.frequency(pair: 31, factor: 1) / plain.frequency(pair: 31, factor: 1) - 0.25) < 1e-12)
    }
}
