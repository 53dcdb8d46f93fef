import DeviceTestSupport
import Devices
import ModelGraph
import Testing

@Suite("Op cases") struct ReferenceOpCaseTests {
    @Test("names are distinct, since they seed the values")
    func names() {
        #expect(Set(opCases.map(\.name)).count == opCases.count)
    }

    @Test("every op occurs")
    func coverage() {
        let ops = Set(opCases.flatMap { opCase in opCase.segment.graph.nodes[opCase.segment.nodes].map(\.op.name) })
        #expect(
            ops == [
                "rows", "matmul", "expertMatmul", "headMatmul", "unary", "binary", "affine", "clamp", "softcap",
                "xielu", "groupNorm",
                "gated", "reshape", "slice", "concatenate", "broadcast", "constant", "sum", "norm", "softmax", "rope",
                "mask",
                "alibi", "relativePositionBias", "attention", "attentionTemperature", "windowPosition", "replace",
                "indexScores",
                "topCells", "topBlocks", "topExperts", "takeExperts", "expertGroups", "store", "load", "convolution",
                "tokenShift", "selectiveScan", "gatedDeltaRule", "linearAttention", "wkv7", "spread", "pool",
                "permute", "crossEntropy", "crossEntropyAdjoint", "scatterRows", "scatterProducts", "attentionWeights",
                "normAdjoint", "groupNormAdjoint", "ropeFactorsAdjoint", "relativePositionBiasAdjoint", "neighbours",
                "recurrenceAdjoint",
            ])
    }

    @Test("the reference runs every case, and gives numbers", arguments: opCases)
    func runs(opCase: OpCase) throws {
        let result = try run(opCase, on: ReferenceDevice())
        let graph = opCase.segment.graph
        #expect(result.outputs.count == opCase.steps.count)
        for outputs in result.outputs {
            #expect(outputs.map(\.count) == opCase.segment.outputs.map { graph.values[$0].shape.count })
            #expect(outputs.allSatisfy { $0.doubles.allSatisfy { !$0.isNaN } })
        }
        #expect(result.states.allSatisfy { $0.allSatisfy(\.isFinite) })
    }

    @Test("the reference gives the same bits twice", arguments: opCases)
    func repeats(opCase: OpCase) throws {
        let first = try run(opCase, on: ReferenceDevice())
        let second = try run(opCase, on: ReferenceDevice())
        #expect(first.outputs == second.outputs && first.states == second.states)
    }
}
