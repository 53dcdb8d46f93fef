extension Choices {
    /// A list, every length being equally likely; the shortest is the simplest.
    ///
    /// A flag before each element says that there is one, instead of a length before them all, so that any
    /// elements can be cut out of the sequence of choices.
    /// - Parameter usually: the greatest length that is drawn at random, where that is not the greatest there may be.
    public mutating func list<Element>(
        count: ClosedRange<Int>, usually: Int? = nil, of element: (inout Choices) throws -> Element
    ) rethrows -> [Element] {
        let greatest = min(count.upperBound, max(count.lowerBound, usually ?? count.upperBound))
        let length = count.lowerBound + Int(hint(below: UInt64(greatest - count.lowerBound) + 1))
        return try list(count: count, upTo: length, isGiven: false) { choices, _ in try element(&choices) }
    }

    /// - Parameters:
    ///   - target: what gives the outcome, where it is given.
    ///   - element: draws an element like what the target has in its place.
    /// - Throws: `Unreachable` if the target is shorter or longer than a list may be; what `element` throws.
    public mutating func list<Element, Target>(
        count: ClosedRange<Int>, usually: Int? = nil, like target: [Target]?,
        of element: (inout Choices, Target?) throws -> Element
    ) throws -> [Element] {
        guard let target else { return try list(count: count, usually: usually) { try element(&$0, nil) } }
        guard count.contains(target.count) else { throw Unreachable(target) }
        return try list(count: count, upTo: target.count, isGiven: true) { try element(&$0, target[$1]) }
    }

    private mutating func list<Element>(
        count: ClosedRange<Int>, upTo length: Int, isGiven: Bool, of element: (inout Choices, Int) throws -> Element
    ) rethrows -> [Element] {
        precondition(count.lowerBound >= 0, "a list of negative length")
        return try span("list") { choices in
            var elements: [Element] = []
            while let next = try choices.span("element", { choices in
                let number = elements.count
                let isLonger = number < length ? 1 : 0 as UInt64
                // Where the length has to be what it is, there is no choice.
                let isFree = !isGiven && count.contains(number) && number < count.upperBound
                let another = choices.choose(below: 2, like: isFree ? nil : isLonger) { _ in isLonger } == 1
                return another ? try element(&choices, number) : nil
            }) {
                elements.append(next)
            }
            return elements
        }
    }
}
