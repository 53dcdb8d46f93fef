import ModelGraph

/// Elements in row-major order. Indices are numbers too: float64 holds every 32-bit integer.
struct ReferenceValue {
    let shape: Shape
    let elements: [Double]
    private let rowLength: Int

    init(_ shape: Shape, _ elements: [Double]) {
        self.shape = shape
        self.elements = elements
        rowLength = shape.last
    }

    subscript(_ i: Int) -> Double { elements[i] }

    /// Contiguous row `i` of `shape.rows`; for `[T, H, D]`, row `t · H + h`.
    func row(_ i: Int) -> ArraySlice<Double> { elements[i * rowLength ..< (i + 1) * rowLength] }

    /// Element `i` of the outermost dimension.
    func block(_ i: Int) -> ArraySlice<Double> {
        let length = elements.count / shape[0]
        return elements[i * length ..< (i + 1) * length]
    }

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

// MARK: The two inner loops

/// `Σ a[i] · b[i]`. Four partial sums, so that an addition need not wait for the one before.
func dot(_ a: ArraySlice<Double>, _ b: ArraySlice<Double>) -> Double {
    precondition(a.count == b.count)
    return a.withUnsafeBufferPointer { a in
        b.withUnsafeBufferPointer { b in
            guard let x = a.baseAddress, let y = b.baseAddress else { return 0 }
            let count = a.count
            var (s0, s1, s2, s3, i) = (0.0, 0.0, 0.0, 0.0, 0)
            while i + 4 <= count {
                s0 += x[i] * y[i]
                s1 += x[i + 1] * y[i + 1]
                s2 += x[i + 2] * y[i + 2]
                s3 += x[i + 3] * y[i + 3]
                i += 4
            }
            while i < count {
                s0 += x[i] * y[i]
                i += 1
            }
            return (s0 + s1) + (s2 + s3)
        }
    }
}

/// `y[start + i] += scale · x[i]`.
func add(_ scale: Double, _ x: ArraySlice<Double>, to y: inout [Double], at start: Int = 0) {
    precondition(start >= 0 && start + x.count <= y.count)
    x.withUnsafeBufferPointer { x in
        y.withUnsafeMutableBufferPointer { y in
            guard let source = x.baseAddress, let target = y.baseAddress else { return }
            let count = x.count
            var i = 0
            while i < count {
                target[start + i] += scale * source[i]
                i += 1
            }
        }
    }
}
