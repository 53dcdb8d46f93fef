extension Choices {
    /// One of `alternatives`, the first being the simplest.
    public mutating func element<Element>(of alternatives: [Element]) -> Element {
        alternatives[Int(choose(below: UInt64(alternatives.count)))]
    }

    /// - Parameter target: the outcome, where it is given.
    /// - Throws: `Unreachable` if the target is none of the alternatives.
    public mutating func element<Element: Equatable>(
        of alternatives: [Element], like target: Element?
    ) throws -> Element {
        guard let target else { return element(of: alternatives) }
        guard let index = alternatives.firstIndex(of: target) else { throw Unreachable(target) }
        return alternatives[Int(try choose(below: UInt64(alternatives.count), like: UInt64(index)))]
    }

    /// One of the cases of a type that lists them all, the first being the simplest.
    /// - Parameter target: the outcome, where it is given.
    public mutating func element<Case: CaseIterable & Equatable>(of type: Case.Type, like target: Case? = nil) -> Case {
        let cases = Array(type.allCases)
        let bound = UInt64(cases.count)
        let index = target.flatMap { cases.firstIndex(of: $0) }.map { UInt64($0) }
        return cases[Int(choose(below: bound, like: index) { $0.next(below: bound) })]
    }

    /// True with probability `numerator / denominator`; false is simpler.
    /// - Parameter target: the outcome, where it is given.
    public mutating func boolean(_ numerator: Int = 1, in denominator: Int = 2, like target: Bool? = nil) -> Bool {
        choose(below: 2, like: target.map { $0 ? 1 : 0 }) {
            $0.next(below: UInt64(denominator)) < UInt64(numerator) ? 1 : 0
        } == 1
    }

    /// Some of `elements`, in their order; each is in with probability one half. None is simplest.
    public mutating func subset<Element>(of elements: [Element]) -> [Element] {
        span("subset") { choices in elements.filter { _ in choices.boolean() } }
    }

    /// - Parameter target: the outcome, where it is given.
    /// - Throws: `Unreachable` if the target is not some of the elements in their order.
    public mutating func subset<Element: Equatable>(
        of elements: [Element], like target: [Element]?
    ) throws -> [Element] {
        try target.map { try members(of: elements, like: $0, "subset") } ?? subset(of: elements)
    }

    /// The features that one case varies (swarm testing: Groce et al. 2012): none, few, many or all of them,
    /// so that features also occur alone and in rare pairs. None is simplest.
    public mutating func swarm<Feature>(of features: [Feature]) -> [Feature] {
        let density = Int(hint(below: 5))
        return span("swarm") { choices in features.filter { _ in choices.boolean(density, in: 4) } }
    }

    /// - Parameter target: the outcome, where it is given.
    /// - Throws: `Unreachable` if the target is not some of the features in their order.
    public mutating func swarm<Feature: Equatable>(
        of features: [Feature], like target: [Feature]?
    ) throws -> [Feature] {
        try target.map { try members(of: features, like: $0, "swarm") } ?? swarm(of: features)
    }

    private mutating func members<Element: Equatable>(
        of elements: [Element], like target: [Element], _ label: String
    ) throws -> [Element] {
        var left = target[...]
        let members = span(label) { choices in
            elements.filter { element in
                let isNext = left.first == element
                if isNext { left.removeFirst() }
                return choices.boolean(like: isNext)
            }
        }
        guard left.isEmpty else { throw Unreachable(target) }
        return members
    }
}
