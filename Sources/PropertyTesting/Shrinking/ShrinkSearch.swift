/// The state of a search for something simpler: what passes read, and the one way in which they make progress.
public struct ShrinkSearch {
    /// Draws a value; nil if there is none. The result says whether that value still fails.
    typealias Property = (inout Choices) -> (() -> Bool)?

    /// The simplest that still fails, so far.
    public private(set) var best: Choices.Recording
    public private(set) var evaluations = 1
    public let budget: Int
    private let isCancelled: () -> Bool
    private let property: Property
    /// What `property` rejected.
    private var rejected: Set<[UInt64]> = []

    init(
        start: Choices.Recording, budget: Int, isCancelled: @escaping () -> Bool = { false },
        property: @escaping Property
    ) {
        best = start
        self.isCancelled = isCancelled
        self.budget = budget
        self.property = property
    }

    public var isExhausted: Bool { evaluations >= budget || isCancelled() }

    /// Until no pass finds anything. The last round costs little, since what was tried is not tried again.
    mutating func run(_ passes: [ShrinkPass]) {
        while !isExhausted {
            let before = best
            for pass in passes { pass.run(&self) }
            if best == before { return }
        }
    }

    /// Replays a sequence by position. Whether that is simpler than the best and still fails; it is the best then.
    @discardableResult
    public mutating func attempt(_ values: [UInt64]) -> Bool {
        attempt(Choices(replaying: values), where: { _ in true })
    }

    /// Replays an edited recording by spans. Whether that is simpler than the best and still fails; it is the best
    /// then.
    ///
    /// A candidate that draws something which is not `expected` counts as no simpler. That costs no evaluation.
    @discardableResult
    public mutating func attempt(
        _ edited: Choices.Recording, where expected: (Choices.Recording) -> Bool = { _ in true }
    ) -> Bool {
        attempt(Choices(replaying: edited), where: expected)
    }

    private mutating func attempt(_ choices: Choices, where expected: (Choices.Recording) -> Bool) -> Bool {
        guard !isExhausted else { return false }
        var choices = choices
        guard let stillFails = property(&choices) else { return false }
        let candidate = choices.recording
        guard candidate < best, expected(candidate), !rejected.contains(candidate.values) else { return false }
        evaluations += 1
        guard stillFails() else {
            rejected.insert(candidate.values)
            return false
        }
        best = candidate
        return true
    }

    /// The choices of an edited recording that are not drawn when it is replayed. It costs no evaluation.
    public func unread(_ edited: Choices.Recording) -> [Int] {
        var choices = Choices(replaying: edited)
        return property(&choices) == nil ? [] : choices.unread
    }

    /// The largest number up to `limit` that works, if those that work come first: doubling finds the order of
    /// magnitude and halving the number, so that it costs the logarithm of the result and not of the limit.
    @discardableResult
    public mutating func largest(upTo limit: Int, _ works: (inout ShrinkSearch, Int) -> Bool) -> Int {
        // What is doubled stays an integer.
        let limit = min(limit, .max / 2)
        guard limit > 0, works(&self, 1) else { return 0 }
        var (good, bad) = (1, limit + 1)
        while good < limit {
            let next = min(2 * good, limit)
            guard works(&self, next) else { bad = next; break }
            good = next
        }
        while bad - good > 1 {
            let middle = good + (bad - good) / 2
            if works(&self, middle) { good = middle } else { bad = middle }
        }
        return good
    }
}
