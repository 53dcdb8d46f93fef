import DeviceTestSupport
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
                "gated", "reshape", "slice", "concatenate", "broadcast", "sum", "norm", "softmax", "rope", "mask",
                "alibi", "relativePositionBias", "attention", "attentionTemperature", "topExperts", "takeExperts",
                "store", "load", "convolution", "tokenShift", "selectiveScan", "gatedDeltaRule", "wkv7", "pool",
            ])
    }
}
