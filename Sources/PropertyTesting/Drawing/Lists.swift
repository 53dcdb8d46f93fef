extension Choices {
    /// A list, every length being equally likely; the shortest is the simplest.
    ///
    /// A flag before each element says that there is one, instead of a length before them all, so that any
    /// elements can be cut out of the sequence of choices.
    public mutating func list<Element>(
        count: ClosedRange<Int>, of element: (inout Choices) throws -> Element
    ) rethrows -> [Element] {
        precondition(count.lowerBound >= 0, "a list of negative length")
        let length = count.lowerBound + Int(hint(below: UInt64(count.upperBound - count.lowerBound) + 1))
        return try span("list") { choices in
            var elements: [Element] = []
            while let next = try choices.span("element", { choices in
                try choices.another(after: elements.count, of: count, upTo: length) ? element(&choices) : nil
            }) {
                elements.append(next)
            }
            return elements
        }
    }

    private mutating func another(after number: Int, of count: ClosedRange<Int>, upTo length: Int) -> Bool {
        if count.contains(number) && number < count.upperBound {
            return choose(below: 2) { _ in number < length ? 1 : 0 } == 1
        }
        force(number < count.lowerBound ? 1 : 0, below: 2)
        return number < count.lowerBound
    }
}
