import ModelGraph

/// A row-major walk over a box of elements that lie at some strides in one or more places: the operand of
/// shaders that include `strides.glsl`.
struct Walk {
    /// `RANK` of `strides.glsl`.
    static let rank = 6

    /// Outermost first, padded in front with extents of 1 to `rank`.
    let extents: [Int]
    /// For each place.
    let strides: [[Int]]

    /// Dimensions that all places step through alike are joined; nil if more than `rank` remain.
    init?(_ shape: Shape, strides given: [[Int]]) {
        var extents: [Int] = []
        var strides = given.map { _ in [Int]() }
        for (axis, extent) in shape.dimensions.enumerated() where extent != 1 {
            let steps = given.map { $0[axis] }
            if let last = extents.last,
                zip(strides, steps).allSatisfy({ $0[$0.count - 1] == $1 * extent })
            {
                extents[extents.count - 1] = last * extent
                for place in strides.indices { strides[place][extents.count - 1] = steps[place] }
            } else {
                extents.append(extent)
                for place in strides.indices { strides[place].append(steps[place]) }
            }
        }
        guard extents.count <= Self.rank else { return nil }
        let padding = Self.rank - extents.count
        self.extents = [Int](repeating: 1, count: padding) + extents
        self.strides = strides.map { [Int](repeating: 0, count: padding) + $0 }
    }
}

extension Shape {
    /// Steps between neighbours along each dimension of a dense row-major value.
    var strides: [Int] {
        var step = 1
        var strides: [Int] = []
        for extent in dimensions.reversed() {
            strides.append(step)
            step *= extent
        }
        return strides.reversed()
    }

    /// Steps through a value of this shape that is repeated to fill `target`.
    func strides(filling target: Shape) -> [Int] {
        let missing = [Int](repeating: 0, count: target.rank - rank)
        return missing + zip(dimensions, strides).map { extent, step in extent == 1 ? 0 : step }
    }
}
