import ModelGraph

extension ReferenceOps {
    /// `(x) →` the elements `start ..< start + count` along `axis`.
    static func slice(_ x: ReferenceValue, _ axis: Int, _ start: Int, _ count: Int) -> [Double] {
        let inner = x.shape.dimensions[(axis + 1)...].reduce(1, *)
        let outer = x.shape.dimensions[..<axis].reduce(1, *)
        return (0..<outer).flatMap { i in
            let first = (i * x.shape[axis] + start) * inner
            return x.elements[first ..< first + count * inner]
        }
    }

    /// `(a, b, …) →` joined along `axis`: for each index of the dimensions before it, `a`'s elements, then `b`'s …
    static func concatenate(_ parts: [ReferenceValue], _ axis: Int) -> [Double] {
        let outer = parts[0].shape.dimensions[..<axis].reduce(1, *)
        return (0..<outer).flatMap { i in
            parts.flatMap { part in
                let length = part.elements.count / outer
                return part.elements[i * length ..< (i + 1) * length]
            }
        }
    }

    /// `(x) → x` repeated to fill the shape: dimensions are aligned at the last; those of extent 1, and those
    /// that `x` lacks, repeat.
    static func broadcast(_ x: ReferenceValue, _ shape: Shape) -> [Double] {
        if x.shape == shape { return x.elements }
        let missing = shape.rank - x.shape.rank
        // Where each element comes from, for a growing number of leading dimensions.
        var sources = [0]
        for axis in 0..<shape.rank {
            let own = axis < missing ? 1 : x.shape[axis - missing]
            sources = sources.flatMap { source in
                (0..<shape[axis]).map { source * own + (own == 1 ? 0 : $0) }
            }
        }
        return sources.map { x[$0] }
    }
}
