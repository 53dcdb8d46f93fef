import Foundation
import GGUF
import ModelGraph

/// The definition of every op: float64 throughout, one plain loop an op.
///
/// Each op is a function of its own name in `ReferenceOps`; its comment gives formula, shapes and source.
/// Weights are decoded to float64 when they are loaded, once for all instances.
public final class ReferenceDevice: Device {
    public static let name = "reference"
    private static let tensorOwner = ReferenceDevice()

    /// Where the decisions of the ops are noted, and what some of them are to be.
    let decisions: DecisionLog?
    private let arithmetic: Arithmetic

    /// - Parameters:
    ///   - rounding: what other arithmetic is imitated. Such a device is made for one session, since the random
    ///     numbers of a run depend on the runs before it.
    ///   - decisions: where the decisions of the ops are noted.
    public init(rounding: Rounding? = nil, decisions: DecisionLog? = nil) {
        arithmetic = Arithmetic(rounding)
        self.decisions = decisions
    }

    /// Begins anew, as a device that has just been made: for a session that does so as well.
    public func restart(rounding: Rounding?, prescribed: [[Int]] = []) {
        arithmetic.restart(rounding)
        decisions?.restart(prescribed: prescribed)
    }

    public var name: String { Self.name }
    public var summary: String { "float64, one plain loop an op" }
    public var precision: Precision {
        arithmetic.rounding?.precision ?? Precision(storage: .float64, accumulation: .float64)
    }
    public var tensorOwner: any Device { Self.tensorOwner }

    public func unsupported(_ node: Node, in graph: Graph, weightTypes: [TensorType]) -> String? {
        nil
    }

    public func load(_ tensor: TensorData) throws -> any DeviceTensor { try ReferenceTensor(tensor) }

    public func allocate(_ state: State, rows: Int, type: StateType) throws -> any DeviceState {
        guard rows >= 0, !rows.multipliedReportingOverflow(by: state.row.count).overflow else {
            throw DeviceError(device: name, reason: "state \(state.name): \(rows) rows")
        }
        return ReferenceState(row: state.row, rows: rows, type: type)
    }

    public func compile(_ segment: Segment) throws -> any Executable { ReferenceExecutable(segment, on: self) }

    /// What the next run of an executable rounds with.
    func rounder() -> Rounder { arithmetic.rounder() }
}

/// What the runs of a device round with, each in its own way.
private final class Arithmetic: @unchecked Sendable {
    private let lock = NSLock()
    private var current: Rounding?
    private var runs: UInt64 = 0

    init(_ rounding: Rounding?) { current = rounding }

    var rounding: Rounding? { lock.withLock { current } }

    func rounder() -> Rounder {
        lock.withLock {
            runs += 1
            return Rounder(current, run: runs)
        }
    }

    func restart(_ rounding: Rounding?) {
        lock.withLock {
            current = rounding
            runs = 0
        }
    }
}

/// A weight, decoded.
final class ReferenceTensor: DeviceTensor {
    let value: ReferenceValue
    private let elements: UnsafeMutableBufferPointer<Double>

    init(_ tensor: TensorData) throws {
        let count = tensor.shape.count
        elements = .allocate(capacity: max(1, count))
        value = ReferenceValue(
            tensor.shape, UnsafePointer(elements.baseAddress.unsafelyUnwrapped), type: tensor.type)
        do {
            let target = UnsafeMutableBufferPointer(rebasing: elements[..<count])
            try tensor.bytes.withBytes { try tensor.type.decode($0, order: tensor.byteOrder, into: target) }
        } catch {
            throw DeviceError(device: ReferenceDevice.name, reason: "\(tensor.name): \(error)")
        }
    }

    deinit { elements.deallocate() }
}
