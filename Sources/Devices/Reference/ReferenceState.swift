import GGUF
import ModelGraph

/// Rows of float64, rounded to IEEE half precision on each write where the state is kept so.
final class ReferenceState: DeviceState {
    let row: Shape
    let rows: Int
    private let type: StateType
    private var elements: [Double]

    init(row: Shape, rows: Int, type: StateType) {
        self.row = row
        self.rows = rows
        self.type = type
        elements = Array(repeating: 0, count: rows * row.count)
    }

    /// The elements of a row that exists.
    subscript(_ index: Int) -> [Double] {
        get { Array(elements[range(index)]) }
        set { elements.replaceSubrange(range(index), with: type == .half ? newValue.map(nearestHalf) : newValue) }
    }

    /// Stores a row, in half precision as the rounder says.
    func set(_ index: Int, to new: ArraySlice<Double>, _ rounder: Rounder) {
        elements.replaceSubrange(range(index), with: type == .half ? new.map(rounder.half) : Array(new))
    }

    /// The elements of rows `0 ..< count`.
    func prefix(_ count: Int) throws -> [Double] {
        guard (0...rows).contains(count) else { throw OutOfRange(what: "count of rows", value: Double(count), bound: rows + 1) }
        return Array(elements.prefix(count * row.count))
    }

    func clear(row index: Int) throws {
        try check(index)
        self[index] = Array(repeating: 0, count: row.count)
    }

    func copy(row index: Int, to other: Int) throws {
        try check(index)
        try check(other)
        self[other] = self[index]
    }

    func read(rows: Int) throws -> [Double] {
        do {
            return try prefix(rows)
        } catch {
            throw DeviceError(device: ReferenceDevice.name, reason: "state: \(error)")
        }
    }

    func write(_ new: [Double]) throws {
        guard new.count <= elements.count, new.count.isMultiple(of: max(1, row.count)) else {
            throw DeviceError(
                device: ReferenceDevice.name, reason: "state: \(new.count) elements for \(rows) rows of \(row.count)")
        }
        elements.replaceSubrange(..<new.count, with: type == .half ? new.map(nearestHalf) : new)
    }

    private func range(_ index: Int) -> Range<Int> { index * row.count ..< (index + 1) * row.count }

    private func check(_ index: Int) throws {
        guard (0..<rows).contains(index) else {
            throw DeviceError(device: ReferenceDevice.name, reason: "state: row \(index) is not in 0 ..< \(rows)")
        }
    }
}

/// The nearest number of IEEE half precision.
func nearestHalf(_ x: Double) -> Double { Double(HalfPrecision.rounded(Float(x))) }

/// One of the two numbers of IEEE half precision that enclose `x`: the upper with a probability that is its
/// share of the distance, for a `fraction` uniform in 0 ..< 1.
func stochasticHalf(_ x: Double, fraction: Double) -> Double {
    guard x.isFinite, x != 0 else { return x }
    let spacing = max(abs(x).binade * 0x1p-10, 0x1p-24)
    let magnitude = (abs(x) / spacing + fraction).rounded(.down) * spacing
    return Double(signOf: x, magnitudeOf: magnitude > 65504 ? .infinity : magnitude)
}
