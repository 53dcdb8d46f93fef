import Devices
import ModelGraph

/// What a device made of an op case.
public struct DeviceRun: Sendable {
    /// The segment's outputs after each step.
    public var outputs: [[HostTensor]] = []
    /// All rows of each state at the end.
    public var states: [[Double]] = []
}

/// A device that says that it does not support a node.
public struct Unsupported: Error, CustomStringConvertible {
    public var description: String
}

/// Runs every step of a case.
/// - Throws: `Unsupported`, or what the device throws.
public func run(_ opCase: OpCase, on device: any Device) throws -> DeviceRun { try run([opCase], on: device) }

/// Runs every step of each case, one after the other on the states of the first: the parts of a batch
/// that is split.
/// - Throws: `Unsupported`, or what the device throws.
public func run(_ parts: [OpCase], on device: any Device) throws -> DeviceRun {
    guard let first = parts.first else { return DeviceRun() }
    precondition(
        parts.allSatisfy { $0.segment.graph.states == first.segment.graph.states }, "parts differ in their states")
    let states = try first.segment.graph.states.map {
        try device.allocate($0, rows: first.stateRows, type: $0.kind == .cache ? first.stateType : .full)
    }
    var result = DeviceRun()
    for part in parts {
        let graph = part.segment.graph
        for node in graph.nodes[part.segment.nodes] {
            if let reason = device.unsupported(node, in: graph, weightTypes: part.weightTypes) {
                throw Unsupported(description: "\(device.name) does not support \(node.op.name): \(reason)")
            }
        }
        let weights = try part.weights.map { try $0.map(device.load) }
        let executable = try device.compile(part.segment)
        for inputs in part.steps {
            result.outputs.append(try executable.run(weights: weights, states: states, inputs: inputs))
        }
    }
    result.states = try states.map { try $0.read(rows: first.stateRows) }
    return result
}

extension DeviceRun {
    /// The largest `deviation` of any output or state; infinite if the runs differ in form.
    public func deviation(from expected: DeviceRun) -> Double {
        guard outputs.map(\.count) == expected.outputs.map(\.count), states.count == expected.states.count else {
            return .infinity
        }
        let all = outputs.joined() + states.map(HostTensor.double)
        let allExpected = expected.outputs.joined() + expected.states.map(HostTensor.double)
        return zip(all, allExpected).map { $0.deviation(from: $1) }.max() ?? 0
    }
}

extension HostTensor {
    /// The largest difference, over the root mean square of what is expected. Infinite if the sizes differ,
    /// an index differs, or one is infinite or not a number where the other is not likewise.
    public func deviation(from expected: HostTensor) -> Double {
        guard count == expected.count, (indices == nil) == (expected.indices == nil) else { return .infinity }
        if indices != nil { return indices == expected.indices ? 0 : .infinity }

        var (largest, squares, finite) = (0.0, 0.0, 0.0)
        for (a, e) in zip(doubles, expected.doubles) {
            if e.isFinite {
                largest = a.isFinite ? max(largest, abs(a - e)) : .infinity
                squares += e * e
                finite += 1
            } else if a != e && !(a.isNaN && e.isNaN) {
                return .infinity
            }
        }
        guard largest > 0 else { return 0 }
        return squares > 0 ? largest / (squares / finite).squareRoot() : largest
    }
}
