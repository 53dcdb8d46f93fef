import GGUF
import ModelGraph

/// Rows of float64, rounded to IEEE half precision on each write where the state is kept so.
final class ReferenceState: DeviceState {
    let row: Shape
    let rows: Int
    let type: StateType
    private let rowCount: Int
    private let elements: UnsafeMutableBufferPointer<Double>

    init(row: Shape, rows: Int, type: StateType) {
        self.row = row
        self.rows = rows
        self.type = type
        rowCount = row.count
        elements = .allocate(capacity: max(1, rows * row.count))
        elements.initialize(repeating: 0)
    }

    deinit { elements.deallocate() }

    /// Where the row of a cell or slot begins that must exist; `rowCount` elements.
    subscript(_ index: Int) -> Doubles { elements.baseAddress.unsafelyUnwrapped + index * rowCount }

    /// Copies the elements of rows `0 ..< count`.
    func copyPrefix(_ count: Int, to target: Doubles) throws {
        guard (0...rows).contains(count) else {
            throw OutOfRange(what: "count of rows", value: Double(count), bound: rows + 1)
        }
        target.update(from: self[0], count: count * rowCount)
    }

    func clear(row index: Int) throws {
        try check(index)
        self[index].update(repeating: 0, count: rowCount)
    }

    func copy(row index: Int, to other: Int) throws {
        try check(index)
        try check(other)
        self[other].update(from: self[index], count: rowCount)
    }

    func read(rows count: Int) throws -> [Double] {
        guard (0...rows).contains(count) else { throw failure("\(count) rows of \(rows)") }
        return Array(elements[..<(count * rowCount)])
    }

    func write(_ new: [Double]) throws {
        guard new.count <= rows * rowCount, new.count.isMultiple(of: max(1, rowCount)) else {
            throw failure("\(new.count) elements for \(rows) rows of \(rowCount)")
        }
        for (i, element) in new.enumerated() { elements[i] = type == .half ? nearestHalf(element) : element }
    }

    private func check(_ index: Int) throws {
        guard (0..<rows).contains(index) else { throw failure("row \(index) is not in 0 ..< \(rows)") }
    }

    private func failure(_ reason: String) -> DeviceError {
        DeviceError(device: ReferenceDevice.name, reason: "state: \(reason)")
    }
}

/// The nearest number of IEEE half precision.
func nearestHalf(_ x: Double) -> Double { Double(HalfPrecision.rounded(Float(x))) }
