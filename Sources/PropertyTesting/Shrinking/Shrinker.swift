/// Finds a simpler value that still fails, by replaying ever simpler choices (MacIver and Donaldson 2020,
/// "Test-case reduction via test-case generation").
public struct Shrinker: Sendable {
    /// The most times that a shrink asks whether a value still fails.
    public var budget: Int
    /// Tried in this order, again and again until none of them finds anything simpler.
    public var passes: [ShrinkPass]

    public init(budget: Int = 2000, passes: [ShrinkPass] = ShrinkPass.all) {
        self.budget = budget
        self.passes = passes
    }

    /// The simplest choices found from which `draw` makes a value that `accepts` accepts, beginning with `start`;
    /// nil if not even that is accepted. What "the same failure" means is up to `accepts`.
    ///
    /// Once `isCancelled` is true, the simplest so far is the result.
    ///
    /// `draw` makes the same value of the same choices every time and should be cheap; a draw that throws is no
    /// candidate. `accepts` may be expensive: it is asked only about values whose choices are simpler than the
    /// simplest known, about each of them once, and `budget` times at most. It is deterministic, or else the result is
    /// merely accepted once.
    public func shrink<Value>(
        _ start: Choices.Recording,
        isCancelled: @escaping () -> Bool = { false },
        draw: @escaping (inout Choices) throws -> Value,
        accepts: @escaping (Value) -> Bool
    ) -> Shrunk<Value>? {
        var choices = Choices(replaying: start)
        guard budget > 0, let first = try? draw(&choices), accepts(first) else { return nil }
        var value = first
        var search = ShrinkSearch(start: choices.recording, budget: budget, isCancelled: isCancelled) { choices in
            guard let candidate = try? draw(&choices) else { return nil }
            return {
                guard accepts(candidate) else { return false }
                value = candidate
                return true
            }
        }
        search.run(passes)
        return Shrunk(
            value: value, recording: search.best, evaluations: search.evaluations, isExhausted: search.isExhausted)
    }
}

/// What shrinking came to.
public struct Shrunk<Value> {
    public let value: Value
    public let recording: Choices.Recording
    /// How many values were asked about, the first included.
    public let evaluations: Int
    /// The budget ended before the passes did, or the search was cancelled.
    public let isExhausted: Bool
}

extension Shrunk: Sendable where Value: Sendable {}
