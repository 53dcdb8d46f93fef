import DeviceTestSupport
import Devices
import ModelGraph
import Testing

@testable import VulkanDevice

@Suite("Vulkan ops", .needsVulkan)
struct VulkanOpCaseTests {
    private static let (runnable, refused) = {
        let refusals = opCases.map { opCase in
            let graph = opCase.segment.graph
            return graph.nodes[opCase.segment.nodes].first { VulkanDevice.refusal($0, in: graph) != nil }?.op.name
        }
        return (zip(opCases, refusals).filter { $0.1 == nil }.map(\.0), Set(refusals.compactMap { $0 }))
    }()

    @Test("what has no shader is known")
    func withoutShader() { 
        // The unary ones are `erf` and `step`, of derivatives too.
        #expect(
            Self.refused == [
                "groupNorm", "topBlocks", "spread", "unary", "permute", "crossEntropy", "crossEntropyAdjoint",
                "scatterRows", "scatterProducts", "attentionWeights", "normAdjoint", "groupNormAdjoint", "ropeFactorsAdjoint",
                "relativePositionBiasAdjoint", "neighbours", "recurrenceAdjoint",
            ])
    }

    /// Sums of float32 in another order than the reference's, over a few hundred terms at most.
    private static let tolerance = 1e-5

    @Test("every op is the reference's, up to rounding", arguments: TestDevice.allCases)
    func matchesReference(on device: TestDevice) throws {
        let device = try device.device(), reference = ReferenceDevice()
        for opCase in Self.runnable {
            let deviation = try run(opCase, on: device).deviation(from: run(opCase, on: reference))
            #expect(deviation < Self.tolerance, "\(opCase)")
        }
    }

    @Test("a cell that is not seen takes no part, be it infinite", arguments: [1, 5, 40])
    func unseenCells(tokens: Int) throws {
        let opCase = OpCase("attention beside an infinite cell, \(tokens)") {
            let q = $0.real([tokens, 2, 8]), k = $0.real([3, 2, 8])
            let v = $0.real([3, 2, 8]) { _ in (0..<48).map { $0 < 32 ? 1 : .infinity } }
            let mask = $0.real([tokens, 3]) { _ in (0..<tokens).flatMap { _ in [0, 0, -Float.infinity] } }
            return [$0.graph.apply(.attention(Attention(scale: 1, valueSize: 8)), q, k, v, mask)]
        }
        let outputs = try run(opCase, on: TestDevice.asFound.device()).outputs
        #expect(outputs[0][0].doubles.allSatisfy { abs($0 - 1) < 1e-6 })
    }

    @Test("two runs are bit-equal")
    func determinism() throws {
        let device = try TestDevice.asFound.device()
        for opCase in Self.runnable {
            let first = try run(opCase, on: device), second = try run(opCase, on: device)
            #expect(first.deviation(from: second) == 0, "\(opCase)")
        }
    }
}
