/// Outcomes of a choice beyond those that are drawn at random: only a target (`like:`) and a replay reach them.
///
/// A value that came from elsewhere may lie outside what is worth drawing, a real model's width for one. As an escape
/// it has a choice all the same, which is greater than that of everything drawn: shrinking leads into the domain.
public struct Escapes<Outcome> {
    let count: UInt64
    /// The outcome of a number below `count`, 0 being the simplest.
    let outcome: (UInt64) -> Outcome
    /// The number of an outcome; nil if it is none of these.
    let index: (Outcome) -> UInt64?
}

extension Escapes<Int> {
    /// All of a range, the least being the simplest.
    public static func integers(in range: ClosedRange<Int>) -> Self {
        Escapes(count: range.size, outcome: { range.lowerBound + Int($0) }) {
            range.contains($0) ? UInt64($0 - range.lowerBound) : nil
        }
    }
}

extension Escapes<Float> {
    /// All of a range of numbers that are not negative: the whole ones, then the others, the least being the simplest.
    public static func numbers(in range: ClosedRange<Float>) -> Self {
        precondition(range.lowerBound.sign == .plus && range.upperBound.isFinite, "a range of other numbers")
        let wholes = Escapes<Int>.integers(in: 0...1 << 24)
        // The bit patterns of such numbers are in the order of the numbers.
        let patterns = Escapes<Int>.integers(in: Int(range.lowerBound.bitPattern)...Int(range.upperBound.bitPattern))
        return Escapes(count: wholes.count + patterns.count) { index in
            let number = index < wholes.count
                ? Float(wholes.outcome(index)) : Float(bitPattern: UInt32(patterns.outcome(index - wholes.count)))
            return min(max(number, range.lowerBound), range.upperBound)
        } index: { number in
            guard range.contains(number) else { return nil }
            return Int(exactly: number).flatMap(wholes.index)
                ?? patterns.index(Int(number.bitPattern)).map { wholes.count + $0 }
        }
    }
}

extension Choices {
    /// One of `alternatives`, the first being the simplest; or, where it is replayed or given, one of `escapes`.
    /// - Parameters:
    ///   - target: the outcome, where it is given.
    ///   - weight: how often an alternative is drawn; where all weights are zero, all are equally likely.
    /// - Throws: `Unreachable` if the target is neither.
    public mutating func element<Element: Equatable>(
        of alternatives: [Element], or escapes: Escapes<Element>, like target: Element?,
        weight: (Element) -> Int = { _ in 1 }
    ) throws -> Element {
        let index = try target.map { target in
            if let index = alternatives.firstIndex(of: target) { return UInt64(index) }
            guard let escape = escapes.index(target) else { throw Unreachable(target) }
            return Choice.firstEscape + escape
        }
        let bound = UInt64(alternatives.count)
        let chosen = choose(below: bound, escapes: escapes.count, like: index) {
            $0.index(weights: alternatives.map(weight))
        }
        return chosen < bound ? alternatives[Int(chosen)] : escapes.outcome(chosen - Choice.firstEscape)
    }

    /// False where it is drawn; true only where it is replayed or given.
    public mutating func escape(like target: Bool? = nil) -> Bool {
        choose(below: 1, escapes: 1, like: target.map { $0 ? Choice.firstEscape : 0 }) { _ in 0 } > 0
    }
}
