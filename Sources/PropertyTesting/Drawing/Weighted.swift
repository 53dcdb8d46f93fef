extension Choices {
    /// One of several, each as often as its weight says; the first is the simplest. Where all weights are zero, all are
    /// equally likely.
    /// - Parameter target: the outcome, where it is given.
    /// - Throws: `Unreachable` if the target is none of the alternatives.
    public mutating func weighted<Element: Equatable>(
        _ alternatives: [(Element, Int)], like target: Element? = nil
    ) throws -> Element {
        let index = try target.map { target in
            guard let index = alternatives.firstIndex(where: { $0.0 == target }) else { throw Unreachable(target) }
            return UInt64(index)
        }
        let chosen = choose(below: UInt64(alternatives.count), like: index) { random in
            random.index(weights: alternatives.map(\.1))
        }
        return alternatives[Int(chosen)].0
    }

    /// Few of `elements`, in their order: mostly none, of which each is in seldom. None is simplest.
    /// - Parameter target: the outcome, where it is given.
    public mutating func sparse<Element: Equatable>(_ elements: [Element], like target: [Element]? = nil) -> [Element] {
        span("sparse") { choices in
            elements.filter { element in choices.boolean(1, in: 12, like: target.map { $0.contains(element) }) }
        }
    }

    /// Whether a rare thing shall be likely in what is drawn next. It is no choice: false on replay.
    public mutating func chance(_ numerator: Int, in denominator: Int) -> Bool {
        hint(below: UInt64(denominator)) >= UInt64(denominator - numerator)
    }

    /// The share of features that shall vary in what is drawn next, in quarters, from one to all (swarm testing: Groce
    /// et al. 2012): features then also occur alone and in rare pairs. It is no choice: 1 on replay.
    public mutating func swarmDensity() -> Int { Int(hint(below: 4)) + 1 }

    /// Features to make likely in what is drawn next: none, few, many or all. It is no choice: none on replay.
    public mutating func swarmHint<Feature>(of features: [Feature]) -> [Feature] {
        let density = Int(hint(below: 5))
        return features.filter { _ in chance(density, in: 4) }
    }
}

extension RandomStream {
    /// An index of `weights`, each as often as its weight says; where all are zero, all are equally likely.
    mutating func index(weights: [Int]) -> UInt64 {
        let total = weights.reduce(0, +)
        guard total > 0 else { return next(below: UInt64(weights.count)) }
        var left = next(below: UInt64(total))
        for (index, weight) in weights.enumerated() {
            if left < UInt64(weight) { return UInt64(index) }
            left -= UInt64(weight)
        }
        return 0
    }
}
