import ModelGraph

extension ReferenceOps {
    /// `(x [R, K], places [K]) → [R, columns]`
    static func spread(_ x: ReferenceValue, _ places: ReferenceValue, _ columns: Int, _ y: Doubles) throws {
        y.update(repeating: -.infinity, count: x.shape[0] * columns)
        for i in 0..<places.count {
            let column = try places.index(i, of: "column", below: columns)
            for row in 0..<x.shape[0] { y[row * columns + column] = x[row * places.count + i] }
        }
    }

    /// `(x) →` the elements `start ..< start + count` along `axis`.
    static func slice(_ x: ReferenceValue, _ axis: Int, _ start: Int, _ count: Int, _ y: Doubles) {
        let inner = x.shape.count(after: axis)
        let outer = x.shape.count(before: axis)
        for i in 0..<outer {
            (y + i * count * inner).update(from: x.elements + (i * x.shape[axis] + start) * inner, count: count * inner)
        }
    }

    /// `(a, b, …) →` joined along `axis`: for each index of the dimensions before it, `a`'s elements, then `b`'s …
    static func concatenate(_ parts: [ReferenceValue], _ axis: Int, _ y: Doubles) {
        let outer = parts[0].shape.count(before: axis)
        var y = y
        for i in 0..<outer {
            for part in parts {
                let length = part.count / outer
                y.update(from: part.elements + i * length, count: length)
                y += length
            }
        }
    }

    /// `(x) → x` repeated to fill the shape: dimensions are aligned at the last; those of extent 1, and those
    /// that `x` lacks, repeat.
    static func broadcast(_ x: ReferenceValue, _ shape: Shape, _ y: Doubles) {
        let missing = shape.rank - x.shape.rank
        /// Fills the dimensions from `axis` on, of an index of those before it.
        /// - Returns: where the next index's elements go.
        func fill(_ axis: Int, from source: UnsafePointer<Double>, _ y: Doubles) -> Doubles {
            guard axis < shape.rank else {
                y[0] = source[0]
                return y + 1
            }
            let extent = shape[axis]
            let own = axis < missing ? 1 : x.shape[axis - missing]
            if axis == shape.rank - 1, own == 1 {
                y.update(repeating: source[0], count: extent)
                return y + extent
            }
            if axis == shape.rank - 1 {
                y.update(from: source, count: extent)
                return y + extent
            }
            let step = x.shape.count(after: max(-1, axis - missing))
            var y = y
            for i in 0..<extent { y = fill(axis + 1, from: own == 1 ? source : source + i * step, y) }
            return y
        }
        _ = fill(0, from: x.elements, y)
    }

    /// `(x) → y` of which axis `i` is axis `axes[i]` of `x`.
    static func permute(_ x: ReferenceValue, _ axes: [Int], _ y: Doubles) {
        let extents = axes.map { x.shape[$0] }, strides = axes.map { x.shape.count(after: $0) }
        var y = y
        func fill(_ axis: Int, from source: UnsafePointer<Double>) {
            guard axis < axes.count else {
                y[0] = source[0]
                y += 1
                return
            }
            for i in 0..<extents[axis] { fill(axis + 1, from: source + i * strides[axis]) }
        }
        fill(0, from: x.elements)
    }
}
