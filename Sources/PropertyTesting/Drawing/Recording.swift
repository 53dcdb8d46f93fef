extension Choices {
    /// One choice made, and out of how many.
    public struct Choice: Hashable, Sendable {
        /// Below the bound, or an escape.
        public var value: UInt64
        /// The number of outcomes that are drawn at random.
        public var bound: UInt64

        /// Escapes are numbered from here, far beyond the outcomes that have any besides them: a value that an edit
        /// brings before another choice than its own is no escape there by chance.
        static let firstEscape: UInt64 = 1 << 48

        /// Whether the outcome is one that is not drawn at random; see `Escapes`.
        public var isEscape: Bool { value >= bound }

        public init(value: UInt64, bound: UInt64) {
            self.value = value
            self.bound = bound
        }
    }

    /// Choices that belong together.
    public struct Span: Hashable, Sendable {
        public var label: String
        /// Positions in the sequence of choices.
        public var range: Range<Int>
        /// The number of spans around it.
        public var depth: Int
    }

    /// The choices that were made for one value, and the spans that they were made in, in order of their begin.
    public struct Recording: Hashable, Sendable {
        public internal(set) var choices: [Choice]
        public internal(set) var spans: [Span]

        public var values: [UInt64] { choices.map(\.value) }
    }
}

/// What "simpler" means, for everything here: shortlex, that is fewer choices first, then smaller earlier ones.
extension Choices.Recording: Comparable {
    public static func < (a: Self, b: Self) -> Bool {
        if a.choices.count != b.choices.count { return a.choices.count < b.choices.count }
        for (x, y) in zip(a.choices, b.choices) where x.value != y.value { return x.value < y.value }
        return false
    }
}

/// Edits, to be replayed by spans.
extension Choices.Recording {
    /// With other values at some positions.
    public func setting(_ positions: some Sequence<Int>, to value: (UInt64) -> UInt64) -> Self {
        var result = self
        for position in positions { result.choices[position].value = value(choices[position].value) }
        return result
    }

    public func setting(_ position: Int, to value: UInt64) -> Self {
        setting(CollectionOfOne(position)) { _ in value }
    }

    /// Without the choices in `range`, and without the spans that this empties.
    public func removing(_ range: Range<Int>) -> Self {
        func moved(_ position: Int) -> Int {
            position - max(0, min(position, range.upperBound) - range.lowerBound)
        }
        var result = self
        result.choices.removeSubrange(range)
        result.spans = spans.compactMap { span in
            var span = span
            if range.contains(span.range) { return nil }
            span.range = moved(span.range.lowerBound)..<moved(span.range.upperBound)
            return span
        }
        return result
    }

    /// With the span `inner` in the place of `outer`, which is around it.
    public func replacing(_ outer: Int, by inner: Int) -> Self {
        let (place, part) = (spans[outer].range, spans[inner].range)
        var result = self
        for index in self.inner(of: inner) { result.spans[index].depth -= spans[inner].depth - spans[outer].depth }
        result.spans[inner].depth = spans[outer].depth
        result.spans.removeSubrange(self.inner(of: inner).upperBound..<self.inner(of: outer).upperBound)
        result.spans.removeSubrange(outer..<inner)
        return result.removing(part.upperBound..<place.upperBound).removing(place.lowerBound..<part.lowerBound)
    }

    /// The spans within that at `index`.
    public func inner(of index: Int) -> Range<Int> {
        let end = spans[(index + 1)...].firstIndex { $0.depth <= spans[index].depth }
        return (index + 1)..<(end ?? spans.count)
    }

    /// The span at `index` and those right before it that have the same parent and label and touch it, the
    /// nearest first.
    public func run(endingAt index: Int) -> [Int] {
        var run = [index]
        var start = spans[index].range.lowerBound
        for earlier in spans[..<index].indices.reversed() where spans[earlier].depth <= spans[index].depth {
            guard spans[earlier].depth == spans[index].depth, spans[earlier].label == spans[index].label,
                spans[earlier].range.upperBound == start
            else { break }
            run.append(earlier)
            start = spans[earlier].range.lowerBound
        }
        return run
    }
}

extension Range<Int> {
    func contains(_ other: Range<Int>) -> Bool {
        lowerBound <= other.lowerBound && other.upperBound <= upperBound
    }
}
