extension Choices {
    /// An integer, all being equally likely; the least is the simplest. `range` has fewer than 2⁶⁴ values.
    public mutating func integer(in range: ClosedRange<Int>) -> Int {
        range.value(at: choose(below: range.size), from: range.lowerBound)
    }

    /// An integer of which `simplest` is the simplest, then its neighbours above and below in turn. All
    /// magnitudes of the distance from it are equally likely, so that small numbers, and equal ones, do occur.
    /// `range` has fewer than 2⁶⁴ values.
    public mutating func integer(in range: ClosedRange<Int>, simplest: Int) -> Int {
        precondition(range.contains(simplest), "the simplest integer lies outside the range")
        let size = range.size
        let index = choose(below: size) { random in
            let bits = random.next(below: UInt64(UInt64.bitWidth - (size - 1).leadingZeroBitCount) + 1)
            return random.next(below: bits == 64 ? size : min(size, 1 << bits))
        }
        return range.value(at: index, from: simplest)
    }
}

extension ClosedRange<Int> {
    fileprivate var size: UInt64 {
        let distance = UInt64(bitPattern: Int64(upperBound &- lowerBound))
        precondition(distance < .max, "a range of 2⁶⁴ values")
        return distance + 1
    }

    /// The value at `index` of: `simplest`, one above, one below, two above, two below, and so on, and from
    /// where one side ends the rest of the other.
    fileprivate func value(at index: UInt64, from simplest: Int) -> Int {
        let above = UInt64(bitPattern: Int64(upperBound &- simplest))
        let below = UInt64(bitPattern: Int64(simplest &- lowerBound))
        let both = Swift.min(above, below)
        let distance = index / 2 + index % 2 <= both ? index / 2 + index % 2 : index - both
        let isAbove = distance <= both ? index % 2 == 1 : above > below
        return isAbove
            ? simplest &+ Int(truncatingIfNeeded: distance) : simplest &- Int(truncatingIfNeeded: distance)
    }
}
