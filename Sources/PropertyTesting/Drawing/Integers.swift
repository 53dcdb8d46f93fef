extension Choices {
    /// An integer, all being equally likely; the least is the simplest. `range` has fewer than 2⁶⁴ values.
    public mutating func integer(in range: ClosedRange<Int>) -> Int {
        range.value(at: choose(below: range.size), from: range.lowerBound)
    }

    /// - Parameter target: the outcome, where it is given.
    /// - Throws: `Unreachable` if the target is not in the range.
    public mutating func integer(in range: ClosedRange<Int>, like target: Int?) throws -> Int {
        if let target, !range.contains(target) { throw Unreachable(target) }
        let index = target.map { range.index(of: $0, from: range.lowerBound) }
        return range.value(at: try choose(below: range.size, like: index), from: range.lowerBound)
    }

    /// An integer of which `simplest` is the simplest, then its neighbours above and below in turn. All
    /// magnitudes of the distance from it are equally likely, so that small numbers, and equal ones, do occur.
    /// `range` has fewer than 2⁶⁴ values.
    public mutating func integer(in range: ClosedRange<Int>, simplest: Int) -> Int {
        integer(in: range, simplest: simplest, index: nil)
    }

    /// - Parameter target: the outcome, where it is given.
    /// - Throws: `Unreachable` if the target is not in the range.
    public mutating func integer(in range: ClosedRange<Int>, simplest: Int, like target: Int?) throws -> Int {
        if let target, !range.contains(target) { throw Unreachable(target) }
        return integer(in: range, simplest: simplest, index: target.map { range.index(of: $0, from: simplest) })
    }

    /// - Parameter target: the index of the outcome, where it is given.
    mutating func integer(in range: ClosedRange<Int>, simplest: Int, index target: UInt64?) -> Int {
        precondition(range.contains(simplest), "the simplest integer lies outside the range")
        let size = range.size
        let index = choose(below: size, like: target) { random in
            let bits = random.next(below: UInt64(UInt64.bitWidth - (size - 1).leadingZeroBitCount) + 1)
            return random.next(below: bits == 64 ? size : min(size, 1 << bits))
        }
        return range.value(at: index, from: simplest)
    }
}

extension ClosedRange<Int> {
    var size: UInt64 {
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

    /// The index of a value in the range; see `value(at:from:)`.
    func index(of value: Int, from simplest: Int) -> UInt64 {
        let isAbove = value > simplest
        let distance = UInt64(bitPattern: Int64(isAbove ? value &- simplest : simplest &- value))
        let other = UInt64(bitPattern: Int64(isAbove ? simplest &- lowerBound : upperBound &- simplest))
        // Two of each distance that both sides have, after the simplest itself.
        return distance > other ? distance + other : 2 * distance - (isAbove ? 1 : 0)
    }
}
