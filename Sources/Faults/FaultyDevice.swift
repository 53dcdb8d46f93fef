import Devices
import Foundation
import GGUF
import ModelGraph

/// A device with a fault: everything else is that device's.
///
/// What a fault leaves alone runs as on the device itself: only a segment that holds a node which the fault
/// changes is cut into parts.
public final class FaultyDevice: Device {
    private let device: any Device
    private let fault: Fault
    private let counter = RunCounter()

    public init(_ device: any Device, _ fault: Fault) {
        self.device = device
        self.fault = fault
    }

    public var name: String { device.name }
    public var summary: String { device.summary }
    public var precision: Precision { device.precision }

    public func unsupported(_ node: Node, in graph: Graph, weightTypes: [TensorType]) -> String? {
        device.unsupported(node, in: graph, weightTypes: weightTypes)
    }

    public func load(_ tensor: TensorData) throws -> any DeviceTensor {
        guard case .weight(let change) = fault.effect, let changed = try change(tensor) else {
            return try device.load(tensor)
        }
        return try device.load(changed)
    }

    public func allocate(_ state: State, rows: Int, type: StateType) throws -> any DeviceState {
        guard case .state(let effect) = fault.effect, effect.kind == state.kind else {
            return try device.allocate(state, rows: rows, type: type)
        }
        let memory = try device.allocate(state, rows: rows, type: effect.type?(type) ?? type)
        return FaultyState(memory, row: state.row, effect)
    }

    public func compile(_ segment: Segment) throws -> any Executable {
        switch fault.effect {
        case .weight: try device.compile(segment)
        // Its executable must be given the state that a faulty one wraps.
        case .state: try FaultyExecutable(segment, on: device, counter: counter) { _ in nil }
        case .node(let change):
            segment.nodes.contains { change(Site(graph: segment.graph, index: $0)) != nil }
                ? try FaultyExecutable(segment, on: device, counter: counter, change)
                : try device.compile(segment)
        }
    }
}

/// Counts the runs of faulty nodes over a device's life.
///
/// A race must show now and then, and yet at the same time whenever a process does the same things: so it is
/// this count, and neither a clock nor a random number, that says when.
final class RunCounter: @unchecked Sendable {
    private let lock = NSLock()
    private var count = 0

    /// The number of runs before this one.
    func next() -> Int {
        lock.withLock {
            defer { count += 1 }
            return count
        }
    }
}
