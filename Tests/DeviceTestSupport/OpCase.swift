import Devices
import GGUF
import ModelGraph
import PropertyTesting

/// A few ops with everything they need to run, the same on every machine: what devices are compared on.
public struct OpCase: Sendable, CustomStringConvertible {
    public let name: String
    /// Real operands come from outside the segment, as results of another device would.
    public let segment: Segment
    /// By index in the graph's weights; nil where the segment does not use it.
    public let weights: [TensorData?]
    /// Type of each weight of the graph, as `Device.unsupported` asks for it.
    public let weightTypes: [TensorType]
    /// Rows of every state.
    public let stateRows: Int
    public let stateType: StateType
    /// The segment's inputs for each of several runs, one after the other on the same states.
    public let steps: [[HostTensor]]

    public var description: String { name }

    /// - Parameters:
    ///   - steps: how many runs.
    ///   - build: declares all operands, then applies the ops; gives the values that are compared.
    public init(
        _ name: String, steps: Int = 1, stateRows: Int = 4, stateType: StateType = .full,
        _ build: (Operands) -> [Value]
    ) {
        let operands = Operands(seed: name, steps: steps)
        let results = build(operands)
        let graph: Graph
        do {
            graph = try operands.graph.finish()
        } catch {
            preconditionFailure("\(name): \(error)")
        }
        let nodes = operands.outsideNodes..<graph.nodes.count
        precondition(
            graph.nodes[..<nodes.lowerBound].allSatisfy { operands.inputs.contains($0.result) },
            "\(name) declares an operand after its first op")
        self.name = name
        segment = Segment(graph: graph, nodes: nodes, inputs: operands.inputs, outputs: results.map(\.id))
        weights = operands.weights
        weightTypes = operands.weights.map { $0?.type ?? .f32 }
        self.stateRows = stateRows
        self.stateType = stateType
        self.steps = operands.steps
    }
}

/// Declares the operands of an op case, and draws them from a stream that its name seeds.
public final class Operands {
    public let graph = GraphBuilder(batch: BatchShape(tokens: 1, outputs: 1, cells: 1), hasTensor: { _ in true })
    fileprivate var inputs: [ValueID] = []
    fileprivate var steps: [[HostTensor]]
    fileprivate var weights: [TensorData?] = []
    fileprivate var outsideNodes = 0
    private var random: RandomStream

    fileprivate init(seed: String, steps: Int) {
        // FNV-1a: the standard library's hash is another in each process.
        let seed = seed.utf8.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
        random = RandomStream(seed: seed)
        self.steps = Array(repeating: [], count: steps)
    }

    /// Reals from outside the segment, drawn anew for each step.
    public func real(_ shape: Shape, in range: ClosedRange<Float> = -1...1) -> Value {
        real(shape) { _ in self.draw(shape.count, in: range) }
    }

    /// Reals from outside the segment, given for each step.
    public func real(_ shape: Shape, _ values: (_ step: Int) -> [Float]) -> Value {
        let source = graph.weight("outside\(weights.count)", shape, .projection)
        weights.append(nil)
        outsideNodes += 1
        return supply(graph.apply(.affine(scale: 1, bias: 0), source)) { .float(values($0)) }
    }

    /// An input of the graph.
    public func index(_ input: Input, _ shape: Shape, _ values: (_ step: Int) -> [Int]) -> Value {
        supply(graph.input(input, shape)) { .index(values($0).map { Int32($0) }) }
    }

    /// Indices below a bound, drawn anew for each step.
    public func index(_ input: Input, _ shape: Shape, below bound: Int) -> Value {
        index(input, shape) { _ in (0..<shape.count).map { _ in self.random(below: bound) } }
    }

    public func weight(_ shape: Shape, _ type: TensorType = .f32, in range: ClosedRange<Float> = -1...1) -> Value {
        weight(shape, type, draw(shape.count, in: range))
    }

    public func weight(_ shape: Shape, _ type: TensorType = .f32, _ values: [Float]) -> Value {
        let name = "weight\(weights.count)"
        weights.append(tensor(name, shape, type, values))
        return graph.weight(name, shape, .projection)
    }

    public func random(below bound: Int) -> Int { Int(random.next(below: UInt64(bound))) }

    /// In steps of 2⁻¹⁶ of the range, so that they are the same on every machine.
    public func draw(_ count: Int, in range: ClosedRange<Float>) -> [Float] {
        (0..<count).map { _ in
            range.lowerBound + (range.upperBound - range.lowerBound) * Float(random.next(below: 65537)) / 65536
        }
    }

    private func supply(_ value: Value, _ tensor: (_ step: Int) -> HostTensor) -> Value {
        inputs.append(value.id)
        for step in steps.indices { steps[step].append(tensor(step)) }
        precondition(
            steps.allSatisfy { $0.last?.count == value.shape.count }, "as many values as \(value.shape) has elements")
        return value
    }
}

/// A weight of these values, encoded.
public func tensor(_ name: String, _ shape: Shape, _ type: TensorType = .f32, _ values: [Float]) -> TensorData {
    precondition(values.count == shape.count, "as many values as \(shape) has elements")
    guard let count = type.byteCount(rowLength: shape.last, rows: shape.rows) else {
        preconditionFailure("rows of \(shape) are no whole blocks of \(type.name)")
    }
    do {
        let bytes = try TensorBytes(count: count) { bytes in
            try values.withUnsafeBufferPointer { try type.encode($0, into: bytes) }
        }
        return TensorData(name: name, shape: shape, type: type, bytes: bytes)
    } catch {
        preconditionFailure("\(name): \(error)")
    }
}
