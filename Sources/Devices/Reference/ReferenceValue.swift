import GGUF
import ModelGraph

/// Where results are written.
typealias Doubles = UnsafeMutablePointer<Double>

/// Elements in row-major order, in memory that a run keeps. Indices are numbers too: float64 holds every 32-bit
/// integer.
struct ReferenceValue {
    let shape: Shape
    let count: Int
    let elements: UnsafePointer<Double>
    /// Of a weight: what it was decoded from.
    let type: TensorType?
    private let rowLength: Int

    init(_ shape: Shape, _ elements: UnsafePointer<Double>, type: TensorType? = nil) {
        self.shape = shape
        self.elements = elements
        self.type = type
        count = shape.count
        rowLength = shape.last
    }

    subscript(_ i: Int) -> Double { elements[i] }

    /// Contiguous row `i` of `shape.rows`; for `[T, H, D]`, row `t · H + h`.
    func row(_ i: Int) -> UnsafePointer<Double> { elements + i * rowLength }

    /// The index at element `i`.
    /// - Throws: `OutOfRange`, naming what the index stands for, if it is not in `0 ..< bound`.
    func index(_ i: Int, of what: String, below bound: Int) throws -> Int {
        guard let index = Int(exactly: elements[i]), index >= 0, index < bound else {
            throw OutOfRange(what: what, value: elements[i], bound: bound)
        }
        return index
    }

    /// The integer at element `i`: a position or a set of sequences, for which any value will do.
    func integer(_ i: Int) throws -> Int {
        guard let integer = Int(exactly: elements[i]) else {
            throw OutOfRange(what: "integer", value: elements[i], bound: nil)
        }
        return integer
    }

    func integers() throws -> [Int] { try (0..<count).map(integer) }
}

/// An index from outside that points nowhere.
struct OutOfRange: Error, CustomStringConvertible {
    var what: String
    var value: Double
    var bound: Int?

    var description: String {
        let number = Int(exactly: value).map(String.init) ?? String(value)
        return bound.map { "\(what) \(number) is not in 0 ..< \($0)" } ?? "\(number) is no integer"
    }
}

extension HostTensor {
    /// Writes the elements, as float64, to room for as many.
    func copy(to target: Doubles) {
        func copy<Element>(_ elements: [Element], _ convert: (Element) -> Double) {
            elements.withUnsafeBufferPointer { for i in 0..<$0.count { target[i] = convert($0[i]) } }
        }
        switch self {
        case .double(let elements): copy(elements) { $0 }
        case .float(let elements): copy(elements) { Double($0) }
        case .index(let elements): copy(elements) { Double($0) }
        }
    }
}
