extension Choices {
    /// A number in `range`, of which `simplest` is the simplest; then those at whole distances from it, then at
    /// halves, quarters and so on. Half of those drawn are at whole distances.
    ///
    /// The distance is a whole number plus a fraction of 52 bits, the fraction's bits in reverse so that the
    /// simplest fractions are the smallest choices. The range is less than 2⁵³ wide.
    public mutating func real(in range: ClosedRange<Double>, simplest: Double = 0) -> Double {
        precondition(range.contains(simplest), "the simplest number lies outside the range")
        let (below, above) = (range.lowerBound - simplest, range.upperBound - simplest)
        precondition(above - below < 0x1p53, "a range of 2⁵³ or more")
        return span("real") { choices in
            let whole = choices.integer(in: Int(below.rounded(.down))...Int(above.rounded(.down)), simplest: 0)
            let fraction = choices.choose(below: 1 << 52) { random in
                random.next(below: 2) == 0 ? 0 : random.next(below: 1 << 52)
            }
            let distance = Double(whole) + Double(fraction.bitReversed >> 12) * 0x1p-52
            return min(max(simplest + distance, range.lowerBound), range.upperBound)
        }
    }
}

extension UInt64 {
    fileprivate var bitReversed: UInt64 {
        (0..<64).reduce(0) { $0 | (self >> UInt64($1) & 1) << UInt64(63 - $1) }
    }
}
