import DeviceTestSupport
import Devices
import GGUF
import PropertyTesting
import Testing

@testable import ModelGraph

/// The derivative of every op: of the sum of its result's elements, each times a random number.
@Suite("Gradients of ops") struct GradientTests {
    /// A real result of a case, and the reverse of what made it.
    private struct Differentiated {
        let forward: Graph
        let backward: Graph
        /// As the case has it at first.
        let weights: [[Double]]
        private let output: ValueID
        private let inputs: [Input: HostTensor]
        private let cotangent: [Double]
        private let stateRows: Int

        init?(_ opCase: OpCase, output: ValueID) throws {
            var graph = opCase.segment.graph
            guard graph.values[output].element == .real else { return nil }
            graph.outputs = [.embeddings: output]
            (forward, backward) = (graph, try graph.differentiated(.cotangent))
            self.output = output

            // Reals from outside are weights times one.
            var outside: [Int: HostTensor] = [:]
            var inputs: [Input: HostTensor] = [:]
            for (id, tensor) in zip(opCase.segment.inputs, opCase.steps[0]) {
                switch graph.values[id].source {
                case .input(let input): inputs[input] = tensor
                case .node(let node):
                    let operand = graph.nodes[node].operands[0]
                    guard case .weight(let weight) = graph.values[operand].source else { continue }
                    outside[weight] = tensor
                case .weight: break
                }
            }
            weights = try opCase.weights.enumerated().map { index, data in
                guard let data else { return outside[index]?.doubles ?? [] }
                return try [Double](unsafeUninitializedCapacity: data.shape.count) { elements, count in
                    let room = UnsafeMutableBufferPointer(rebasing: elements[..<data.shape.count])
                    try data.bytes.withBytes { try data.type.decode($0, order: data.byteOrder, into: room) }
                    count = data.shape.count
                }
            }
            var random = RandomStream(seed: 1)
            cotangent = (0..<graph.values[output].shape.count).map { _ in random.fraction() }
            inputs[.cotangent] = .double(cotangent)
            self.inputs = inputs
            stateRows = opCase.stateRows
        }

        private func run(
            _ graph: Graph, on device: any Device, _ weights: [[Double]], _ wanted: [ValueID]
        ) throws -> [HostTensor] {
            let states = try graph.states.map { try device.allocate($0, rows: stateRows, type: .full) }
            let tensors = try zip(graph.weights, weights).map { weight, elements in
                try device.load(
                    TensorData(
                        name: weight.name, shape: weight.shape, type: .f64,
                        bytes: TensorBytes(count: 8 * elements.count) { bytes in
                            for (i, element) in elements.enumerated() {
                                bytes.storeBytes(
                                    of: element.bitPattern.littleEndian, toByteOffset: 8 * i, as: UInt64.self)
                            }
                        }))
            }
            var segment = Segment(graph: graph, nodes: graph.nodes.indices, inputs: [], outputs: wanted)
            var given: [HostTensor] = []
            for (input, id) in graph.inputs {
                guard let tensor = inputs[input] else { continue }
                segment.inputs.append(id)
                given.append(tensor)
            }
            return try device.compile(segment).run(weights: tensors, states: states, inputs: given)
        }

        /// The sum that is differentiated.
        func value(_ weights: [[Double]]) throws -> Double {
            let result = try run(forward, on: ReferenceDevice(), weights, [output])[0].doubles
            return zip(result, cotangent).reduce(0) { $1.0.isFinite ? $0 + $1.0 * $1.1 : $0 }
        }

        /// By the weight that each is of; none where the result does not depend on it.
        func gradients(on device: any Device) throws -> [(weight: Int, elements: HostTensor)] {
            let places = backward.weights.indices.compactMap { index in
                backward.outputs[.gradient(weight: backward.weights[index].name)].map { (index, $0) }
            }
            return Array(zip(places.map(\.0), try run(backward, on: device, weights, places.map(\.1))))
                .map { (weight: $0, elements: $1) }
        }

        /// Weights that stand for places in a row.
        var fixed: Set<Int> {
            Set(
                forward.nodes.compactMap { node in
                    guard case .spread = node.op, case .weight(let weight) = forward.values[node.operands[1]].source
                    else { return nil }
                    return weight
                })
        }
    }

    /// Ops that have none, being derivatives themselves.
    private static let underivable: Set = [
        "crossEntropyAdjoint", "scatterProducts", "normAdjoint", "groupNormAdjoint", "ropeFactorsAdjoint",
        "relativePositionBiasAdjoint", "recurrenceAdjoint",
    ]

    private static let derivable = opCases.filter { opCase in
        !opCase.segment.graph.nodes[opCase.segment.nodes].contains { underivable.contains($0.op.name) }
    }

    /// Cases at the very place of a kink, or of a choice between equals.
    private static let atKinks: Set = ["norm unit of zeros", "attention to the best cells"]
    /// Cases whose gradient is what little is left where much cancels, or lies below float32's normal numbers.
    private static let farOut: Set = ["softmax far out", "unary rootOfSoftplus far out"]

    private static func differentiated(_ opCase: OpCase) throws -> [Differentiated] {
        try opCase.segment.outputs.compactMap { try Differentiated(opCase, output: $0) }
    }

    @Test(
        "the gradient is the slope, along a random direction",
        arguments: derivable.filter { !atKinks.contains($0.name) })
    func isSlope(opCase: OpCase) throws {
        for differentiated in try Self.differentiated(opCase) {
            var random = RandomStream(seed: 2)
            let fixed = differentiated.fixed
            let directions = differentiated.weights.enumerated().map { index, weight in
                // What is excluded stays so.
                weight.map { $0.isFinite && !fixed.contains(index) ? random.fraction() : 0 }
            }
            var (slope, squares) = (0.0, 0.0)
            for gradient in try differentiated.gradients(on: ReferenceDevice()) {
                for (a, b) in zip(gradient.elements.doubles, directions[gradient.weight]) {
                    slope += a * b
                    squares += a * b * a * b
                }
            }
            func value(at step: Double) throws -> Double {
                try differentiated.value(
                    zip(differentiated.weights, directions).map { zip($0, $1).map { $0 + step * $1 } })
            }
            // Of the fourth order. Source: Richardson 1911.
            let step = 1e-5
            let (near, far) = (try value(at: step) - value(at: -step), try value(at: 2 * step) - value(at: -2 * step))
            let difference = (8 * near - far) / (12 * step)
            #expect(abs(difference - slope) <= 1e-6 * max(0.01, squares.squareRoot()), "\(difference), not \(slope)")
        }
    }

    @Test(
        "cpu's gradients are the reference's, up to rounding",
        arguments: derivable.filter { !farOut.contains($0.name) })
    func cpu(opCase: OpCase) throws {
        for differentiated in try Self.differentiated(opCase) {
            let (found, expected) = (
                try differentiated.gradients(on: CPUDevice()), try differentiated.gradients(on: ReferenceDevice())
            )
            for (a, e) in zip(found, expected) { #expect(a.elements.deviation(from: e.elements) < 3e-5) }
        }
    }

    @Test("what has no derivative says so")
    func none() throws {
        let g = GraphBuilder(batch: BatchShape(tokens: 1, outputs: 1, cells: 1), hasTensor: { _ in true })
        let x = g.weight("x", [1, 3], .projection)
        g.output(.embeddings, g.apply(.normAdjoint(.rms, epsilon: 0), x, x))
        let graph = try g.finish()
        let error = #expect(throws: GraphError.self) { try graph.differentiated(.cotangent) }
        #expect(error?.reason == "no gradient of normAdjoint")
    }
}

extension RandomStream {
    /// Uniform in −1 ..< 1.
    fileprivate mutating func fraction() -> Double { Double(next() >> 11) * 0x1p-52 - 1 }
}
