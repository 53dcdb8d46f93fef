import Devices

/// What a script gave.
public struct Transcript: Hashable, Sendable {
    /// One for each step that was done.
    public var results: [StepResult]
    /// Why the script ended before its last step.
    public var failure: Failure?
    /// Ops that ran elsewhere than they were placed, and why.
    public var fallbacks: [String]
    /// Each choice among experts or groups of them, in the order of execution. Of the builtin engine's `reference`
    /// only.
    public var decisions: [Decision]

    public struct Failure: Hashable, Sendable {
        /// The step; nil where the session could not be made.
        public var step: Int?
        public var reason: String
        public init(step: Int?, reason: String) {
            self.step = step
            self.reason = reason
        }
    }

    public init(
        results: [StepResult] = [], failure: Failure? = nil, fallbacks: [String] = [], decisions: [Decision] = []
    ) {
        self.results = results
        self.failure = failure
        self.fallbacks = fallbacks
        self.decisions = decisions
    }
}

/// What a step gave.
public struct StepResult: Hashable, Sendable {
    /// False where the session says that it cannot do this by design, and has changed nothing.
    public var isDone: Bool
    public var logits: Rows?
    public var embeddings: Rows?
    /// What each sequence holds after the step, as the engine says; nil where it does not say.
    public var extents: [Extent]?

    public init(isDone: Bool = true, logits: Rows? = nil, embeddings: Rows? = nil) {
        self.isDone = isDone
        self.logits = logits
        self.embeddings = embeddings
    }

    /// The least and the greatest position of what a sequence holds, both −1 where that is nothing.
    public struct Extent: Hashable, Sendable {
        public var least: Int
        public var greatest: Int

        public init(least: Int, greatest: Int) {
            self.least = least
            self.greatest = greatest
        }
    }

    /// The logits, or of a model that has none its embeddings.
    public var rows: Rows? { logits ?? embeddings }
}

/// Rows of equal length, each with the number that it belongs to: the token's index in its batch or, pooled, the
/// sequence; ascending.
public struct Rows: Hashable, Sendable {
    public var keys: [Int]
    public var width: Int
    /// `[keys.count, width]`
    public var elements: [Double]
    /// Of a piece that has some columns only: the first of them.
    public var firstColumn: Int
    /// Columns of whole rows; nil where these are whole.
    public var wholeWidth: Int?

    public init(keys: [Int], width: Int, elements: [Double], firstColumn: Int = 0, wholeWidth: Int? = nil) {
        self.keys = keys
        self.width = width
        self.elements = elements
        self.firstColumn = firstColumn
        self.wholeWidth = wholeWidth
    }

    /// The row of `keys[index]`.
    public func row(at index: Int) -> ArraySlice<Double> { elements[index * width ..< (index + 1) * width] }

    /// The row of a token or sequence; nil where there is none.
    public func row(of key: Int) -> ArraySlice<Double>? { keys.firstIndex(of: key).map(row(at:)) }

    /// The same rows, whose numbers are identical.
    public func isIdentical(to other: Rows) -> Bool {
        keys == other.keys && width == other.width && elements.isIdentical(to: other.elements)
    }
}

extension Collection<Double> {
    /// NaN where NaN is, bit for bit the same elsewhere.
    public func isIdentical(to other: some Collection<Double>) -> Bool {
        count == other.count && zip(self, other).allSatisfy { $0.bitPattern == $1.bitPattern || $0.isNaN && $1.isNaN }
    }
}
