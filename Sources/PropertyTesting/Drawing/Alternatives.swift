extension Choices {
    /// One of `alternatives`, the first being the simplest.
    public mutating func element<Element>(of alternatives: [Element]) -> Element {
        alternatives[Int(choose(below: UInt64(alternatives.count)))]
    }

    /// True with probability `numerator / denominator`; false is simpler.
    public mutating func boolean(_ numerator: Int = 1, in denominator: Int = 2) -> Bool {
        choose(below: 2) { $0.next(below: UInt64(denominator)) < UInt64(numerator) ? 1 : 0 } == 1
    }

    /// Some of `elements`, in their order; each is in with probability one half. None is simplest.
    public mutating func subset<Element>(of elements: [Element]) -> [Element] {
        span("subset") { choices in elements.filter { _ in choices.boolean() } }
    }

    /// The features that one case varies (swarm testing: Groce et al. 2012): none, few, many or all of them,
    /// so that features also occur alone and in rare pairs. None is simplest.
    public mutating func swarm<Feature>(of features: [Feature]) -> [Feature] {
        let density = Int(hint(below: 5))
        return span("swarm") { choices in features.filter { _ in choices.boolean(density, in: 4) } }
    }
}
