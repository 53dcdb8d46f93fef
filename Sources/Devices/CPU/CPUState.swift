import CKernels
import Foundation
import ModelGraph

/// Rows of float32; caches of half precision hold floats that were rounded to it.
final class CPUState: DeviceState {
    let rows: Int
    let rowCount: Int
    let memory: UnsafeMutablePointer<Float>
    private let allocation: UnsafeMutableRawPointer
    private let isHalf: Bool
    private let kernels: CPUKernelTable

    init(rows: Int, rowCount: Int, type: StateType, kernels: CPUKernelTable) throws {
        self.rows = rows
        self.rowCount = rowCount
        isHalf = type == .half
        self.kernels = kernels
        let count = max(1, rows * rowCount), alignment = 64
        // Zero without being written to: of a long context, the rows that no token needs take no memory.
        guard let start = calloc(1, 4 * count + alignment) else {
            throw CPUDevice.error("no memory for a state of \(rows) rows of \(rowCount)")
        }
        allocation = start
        memory = start.alignedUp(toMultipleOf: alignment).bindMemory(to: Float.self, capacity: count)
    }

    deinit { free(allocation) }

    /// Copies a row in, rounded to the state's type.
    func set(row: Int, to source: UnsafePointer<Float>) {
        let target = memory + row * rowCount
        if isHalf {
            kernels.functions.round_to_half(source, target, rowCount)
        } else {
            target.update(from: source, count: rowCount)
        }
    }

    private func check(_ row: Int) throws {
        guard (0..<rows).contains(row) else { throw CPUDevice.error("row \(row) of a state of \(rows)") }
    }

    func clear(row: Int) throws {
        try check(row)
        (memory + row * rowCount).update(repeating: 0, count: rowCount)
    }

    func copy(row: Int, to other: Int) throws {
        try check(row)
        try check(other)
        guard row != other else { return }
        (memory + other * rowCount).update(from: memory + row * rowCount, count: rowCount)
    }

    func read(rows: Int) throws -> [Double] {
        guard (0...self.rows).contains(rows) else { throw CPUDevice.error("\(rows) rows of a state of \(self.rows)") }
        return (0..<rows * rowCount).map { Double(memory[$0]) }
    }

    func write(_ elements: [Double]) throws {
        guard rowCount > 0 ? elements.count % rowCount == 0 : elements.isEmpty, elements.count <= rows * rowCount else {
            throw CPUDevice.error("\(elements.count) elements for a state of \(rows) rows of \(rowCount)")
        }
        let floats = elements.map(Float.init)
        floats.withUnsafeBufferPointer { source in
            guard let start = source.baseAddress else { return }
            for row in 0..<elements.count / max(1, rowCount) { set(row: row, to: start + row * rowCount) }
        }
    }
}
