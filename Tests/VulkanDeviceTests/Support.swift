import Devices
import GGUF
import ModelGraph
import Testing

@testable import VulkanDevice

/// The first device, both as it is and as if the host saw none of its memory.
enum TestDevice: String, CaseIterable, CustomTestStringConvertible {
    case asFound, separateMemory

    private static let found = VulkanDevice.all()
    private static let separate = VulkanDevice.open(separateMemory: true)

    static let exists = !found.devices.isEmpty
    static let absence = Comment(rawValue: found.absence ?? "a Vulkan device was found")

    func device() throws -> VulkanDevice {
        try #require((self == .asFound ? Self.found : Self.separate).devices.first)
    }

    var testDescription: String { rawValue }
}

extension Trait where Self == ConditionTrait {
    /// Skips where there is no Vulkan device, and says why there is none.
    static var needsVulkan: Self { .enabled(if: TestDevice.exists, TestDevice.absence) }
}

/// One graph, run as one segment.
struct Run {
    var graph: Graph
    var weights: [any DeviceTensor]
    var states: [any DeviceState]
    var executable: any Executable

    /// - Parameter weights: elements by name, encoded as `type`.
    init(
        on device: VulkanDevice, weights: [String: (TensorType, [Float])] = [:], stateRows: Int = 4,
        stateType: StateType = .full, _ build: (GraphBuilder) -> Value
    ) throws {
        let builder = GraphBuilder(batch: BatchShape(tokens: 3, outputs: 3, cells: 3)) { _ in false }
        builder.output(.logits, build(builder))
        graph = try builder.finish()
        self.weights = try graph.weights.map { weight in
            let (type, elements) = try #require(weights[weight.name])
            let size = try #require(type.byteCount(rowLength: weight.shape.last, rows: weight.shape.rows))
            let bytes = try TensorBytes(count: size) { target in
                try elements.withUnsafeBufferPointer { try type.encode($0, into: target) }
            }
            return try device.load(TensorData(name: weight.name, shape: weight.shape, type: type, bytes: bytes))
        }
        states = try graph.states.map { try device.allocate($0, rows: stateRows, type: stateType) }
        let output = try #require(graph.outputs[.logits])
        executable = try device.compile(
            Segment(graph: graph, nodes: graph.nodes.indices, inputs: graph.inputs.values.sorted(), outputs: [output]))
    }

    func callAsFunction(_ inputs: [Input: HostTensor] = [:]) throws -> [Double] {
        let ordered = try graph.inputs.sorted { $0.value < $1.value }.map { try #require(inputs[$0.key]) }
        return try #require(try executable.run(weights: weights, states: states, inputs: ordered).first).doubles
    }
}

/// Reals between −1 and 1 that repeat late.
func reals(_ count: Int, seed: Int) -> [Float] {
    (0..<count).map { Float((($0 + seed * 97) * 7919) % 2003) / 1001 - 1 }
}
