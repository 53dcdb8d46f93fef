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
    /// All of a range of numbers: the whole ones that are not negative, then the others of these, then the negative
    /// ones, those of the least magnitude being the simplest.
    public static func numbers(in range: ClosedRange<Float>) -> Self {
        precondition(range.lowerBound.isFinite && range.upperBound.isFinite, "a range of other numbers")
        let wholes = Escapes<Int>.integers(in: 0...1 << 24)
        // The bit patterns of numbers that are not negative are in their order.
        func magnitudes(_ least: Float, _ greatest: Float) -> Escapes<Int> {
            .integers(in: Int(max(0, least).bitPattern)...Int(max(0, greatest).bitPattern))
        }
        let others = magnitudes(range.lowerBound, range.upperBound)
        let negatives = magnitudes(-range.upperBound, -range.lowerBound)
        let firstNegative = wholes.count + others.count
        return Escapes(count: firstNegative + (range.lowerBound < 0 ? negatives.count : 0)) { index in
            let number = if index < wholes.count {
                Float(wholes.outcome(index))
            } else if index < firstNegative {
                Float(bitPattern: UInt32(others.outcome(index - wholes.count)))
            } else {
                -Float(bitPattern: UInt32(negatives.outcome(index - firstNegative)))
            }
            return min(max(number, range.lowerBound), range.upperBound)
        } index: { number in
            guard range.contains(number) else { return nil }
            if number < 0 { return negatives.index(Int((-number).bitPattern)).map { firstNegative + $0 } }
            return Int(exactly: number).flatMap(wholes.index)
                ?? others.index(Int(number.bitPattern)).map { wholes.count + $0 }
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
