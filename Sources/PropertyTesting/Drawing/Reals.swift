extension Choices {
    /// A number in `range`, of which `simplest` is the simplest; then those at whole distances from it, then at
    /// halves, quarters and so on. Half of those drawn are at whole distances.
    ///
    /// The distance is a whole number plus a fraction of 52 bits, the fraction's bits in reverse so that the
    /// simplest fractions are the smallest choices. The range is less than 2⁵³ wide.
    public mutating func real(in range: ClosedRange<Double>, simplest: Double = 0) -> Double {
        real(RealNumbers(range, simplest), like: nil)
    }

    /// - Parameter target: the outcome, where it is given.
    /// - Throws: `Unreachable` if the target is not in the range, or lies between two numbers that may be drawn.
    public mutating func real(
        in range: ClosedRange<Double>, simplest: Double = 0, like target: Double?
    ) throws -> Double {
        let numbers = RealNumbers(range, simplest)
        return real(numbers, like: try target.map { try numbers.index(of: $0) })
    }

    private mutating func real(_ numbers: RealNumbers, like target: RealNumbers.Index?) -> Double {
        span("real") { choices in
            let whole = choices.integer(
                in: numbers.wholes, simplest: 0, index: target.map { numbers.wholes.index(of: $0.whole, from: 0) })
            let fraction = choices.choose(below: 1 << 52, like: target?.fraction) { random in
                random.next(below: 2) == 0 ? 0 : random.next(below: 1 << 52)
            }
            return numbers.value(at: RealNumbers.Index(whole: whole, fraction: fraction))
        }
    }
}

/// The numbers of a range by their distance from the simplest.
private struct RealNumbers {
    /// The distance, rounded down, and the bits of the rest in reverse.
    struct Index {
        var whole: Int
        var fraction: UInt64
    }

    let range: ClosedRange<Double>
    let simplest: Double
    let wholes: ClosedRange<Int>

    init(_ range: ClosedRange<Double>, _ simplest: Double) {
        precondition(range.contains(simplest), "the simplest number lies outside the range")
        let (below, above) = (range.lowerBound - simplest, range.upperBound - simplest)
        precondition(above - below < 0x1p53, "a range of 2⁵³ or more")
        self.range = range
        self.simplest = simplest
        wholes = Int(below.rounded(.down))...Int(above.rounded(.down))
    }

    func value(at index: Index) -> Double {
        let distance = Double(index.whole) + Double(index.fraction.bitReversed >> 12) * 0x1p-52
        return min(max(simplest + distance, range.lowerBound), range.upperBound)
    }

    func index(of value: Double) throws -> Index {
        guard range.contains(value) else { throw Unreachable(value) }
        // The distance may have been rounded, and the number too.
        for error in [0, 0x1p-52, -0x1p-52] {
            let distance = value - simplest + error
            let whole = distance.rounded(.down)
            let fraction = min(((distance - whole) * 0x1p52).rounded(), 0x1p52 - 1)
            let index = Index(whole: Int(whole), fraction: (UInt64(fraction) << 12).bitReversed)
            if wholes.contains(index.whole), self.value(at: index) == value { return index }
        }
        throw Unreachable(value)
    }
}

extension UInt64 {
    fileprivate var bitReversed: UInt64 {
        (0..<64).reduce(0) { $0 | (self >> UInt64($1) & 1) << UInt64(63 - $1) }
    }
}
