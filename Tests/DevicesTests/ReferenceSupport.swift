import DeviceTestSupport
import Devices
import ModelGraph

/// The first output of each step of a case that the reference runs.
func reference(
    _ name: String = #function, steps: Int = 1, stateRows: Int = 4, stateType: StateType = .full,
    _ build: (Operands) -> Value
) throws -> [[Double]] {
    let opCase = OpCase(name, steps: steps, stateRows: stateRows, stateType: stateType) { [build($0)] }
    return try run(opCase, on: ReferenceDevice()).outputs.map { $0[0].doubles }
}

/// The only output of a case of one step.
func value(_ name: String = #function, _ build: (Operands) -> Value) throws -> [Double] {
    try reference(name, build)[0]
}

extension Operands {
    /// Reals that are the same in each step.
    func real(_ shape: Shape, _ values: [Double]) -> Value { real(shape) { _ in values.map { Float($0) } } }
    func index(_ input: Input, _ values: [Int]) -> Value { index(input, [values.count]) { _ in values } }
}

/// Whether numbers agree to the last few bits of float64.
func close(_ a: [Double], _ b: [Double], _ tolerance: Double = 1e-12) -> Bool {
    a.count == b.count && zip(a, b).allSatisfy { $0 == $1 || abs($0 - $1) <= tolerance * max(1, abs($1)) }
}
