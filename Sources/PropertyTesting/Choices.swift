/// The choices that make a value, drawn one after the other: from random numbers at first, from a
/// recorded sequence on replay.
///
/// Every choice is an integer in `0 ..< bound` of which 0 is the simplest, so that any sequence of
/// integers, cut or lowered at will, makes a valid value.
public struct Choices: Sendable {
    /// One choice made, and out of how many.
    public struct Choice: Hashable, Sendable {
        public var value: UInt64
        public var bound: UInt64
    }

    private var random: RandomStream?
    private var replayed: [UInt64]
    public private(set) var made: [Choice] = []

    /// Choices at random.
    public init(seed: UInt64, stream: UInt64 = 0) {
        random = RandomStream(seed: seed, stream: stream)
        replayed = []
    }

    /// The choices of a recorded sequence; beyond its end, the simplest of each.
    public init(replaying values: [UInt64]) {
        random = nil
        replayed = values
    }

    /// A choice in `0 ..< bound`, 0 being the simplest. A recorded value that is too large is lowered
    /// to the largest.
    public mutating func choose(below bound: UInt64) -> UInt64 {
        precondition(bound > 0, "a choice among nothing")
        let value: UInt64
        if random != nil {
            value = random!.next(below: bound)
        } else {
            value = made.count < replayed.count ? min(replayed[made.count], bound - 1) : 0
        }
        made.append(Choice(value: value, bound: bound))
        return value
    }

    public mutating func integer(in range: ClosedRange<Int>) -> Int {
        range.lowerBound + Int(choose(below: UInt64(range.upperBound - range.lowerBound) + 1))
    }

    /// One of `alternatives`, the first being the simplest.
    public mutating func element<Element>(of alternatives: [Element]) -> Element {
        alternatives[Int(choose(below: UInt64(alternatives.count)))]
    }

    /// True with probability `numerator / denominator`; false is simpler.
    public mutating func boolean(_ numerator: Int = 1, in denominator: Int = 2) -> Bool {
        choose(below: UInt64(denominator)) >= UInt64(denominator - numerator)
    }
}
