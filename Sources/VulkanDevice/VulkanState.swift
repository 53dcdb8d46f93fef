import CVulkan
import Devices
import GGUF
import ModelGraph

/// Rows of float32 in the device's memory; those of a half cache hold values that half precision can.
final class VulkanState: DeviceState {
    private let context: Context
    let region: Region
    let rows: Int
    /// Elements of a row.
    let rowCount: Int
    let isHalf: Bool

    init(context: Context, rows: Int, rowCount: Int, type: StateType) throws {
        let (elements, overflow) = rows.multipliedReportingOverflow(by: rowCount)
        guard rows >= 0, !overflow, elements <= context.limits.bindingBytes / 4 else {
            throw context.error(
                "a state of \(rows) rows of \(rowCount) exceeds the \(context.limits.bindingBytes) bytes of a binding")
        }
        self.context = context
        self.rows = rows
        self.rowCount = rowCount
        isHalf = type == .half
        region = try context.deviceMemory.allocate(bytes: max(elements, 1) * 4)
        try context.clear(region, at: 0, bytes: elements * 4)
    }

    func clear(row: Int) throws {
        try check(row)
        try context.clear(region, at: row * rowCount * 4, bytes: rowCount * 4)
    }

    func copy(row: Int, to other: Int) throws {
        try check(row)
        try check(other)
        guard row != other else { return }
        try context.copy(in: region, from: row * rowCount * 4, to: other * rowCount * 4, bytes: rowCount * 4)
    }

    func read(rows count: Int) throws -> [Double] {
        guard (0...rows).contains(count) else { throw context.error("reads \(count) rows of a state of \(rows)") }
        var elements = [Float](repeating: 0, count: count * rowCount)
        try elements.withUnsafeMutableBytes { try context.read(region, into: $0) }
        return elements.map(Double.init)
    }

    func write(_ elements: [Double]) throws {
        guard elements.count <= rows * rowCount, rowCount == 0 || elements.count % rowCount == 0 else {
            throw context.error("writes \(elements.count) elements to a state of \(rows) rows of \(rowCount)")
        }
        let singles = elements.map { isHalf ? HalfPrecision.rounded(Float($0)) : Float($0) }
        try singles.withUnsafeBytes { try context.write($0, to: region) }
    }

    private func check(_ row: Int) throws {
        guard (0..<rows).contains(row) else { throw context.error("row \(row) of a state of \(rows)") }
    }

    /// What shaders bind.
    var range: VulkanRange { region.range(0, max(rows * rowCount, 1) * 4) }
}
