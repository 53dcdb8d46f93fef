/// The choices that make a value, drawn one after the other: from random numbers at first, from a
/// recording on replay.
///
/// Every choice is an integer in `0 ..< bound` of which 0 is the simplest, so that any sequence of
/// integers, cut or lowered at will, makes a valid value. What is drawn must depend on the choices alone.
/// Some have outcomes beyond the bound besides, which are never drawn at random; see `Escapes`.
///
/// What draws a value also *recovers* it: where a target is given (`like:`), the outcome is the target whatever the
/// source, and the choice recorded is the one that draws it. So the code that draws is all that is needed to find the
/// choices of a value that came from elsewhere, and to shrink it.
public struct Choices: Sendable {
    private enum Source {
        case random
        /// Value after value, wherever they were drawn.
        case sequence([UInt64])
        /// Span by span.
        case recording
    }

    private let source: Source
    private var random = RandomStream(seed: 0)
    private var replay: SpanReplay?
    private var open: [Int] = []
    public private(set) var made: [Choice] = []
    /// Whether what is drawn at random is the simplest: for features that a swarm leaves out.
    public var isCalm = false
    /// In the order in which they began; those still open end where they began.
    public private(set) var spans: [Span] = []

    /// Choices at random.
    public init(seed: UInt64, stream: UInt64 = 0) {
        source = .random
        random = RandomStream(seed: seed, stream: stream)
    }

    /// The choices of a recorded sequence; beyond its end, the simplest of each.
    public init(replaying values: [UInt64]) {
        source = .sequence(values)
    }

    /// The choices of a recording, perhaps an edited one. Each span replays the span of the same label, so
    /// that a span which now needs fewer choices, or more, does not disturb what follows it. Where the
    /// recording has nothing, the simplest.
    public init(replaying recording: Recording) {
        source = .recording
        replay = SpanReplay(recording)
    }

    /// What was chosen so far.
    public var recording: Recording { Recording(choices: made, spans: spans) }

    /// The choices of the replayed recording that were not drawn again.
    var unread: [Int] { replay?.unread ?? [] }

    /// A choice in `0 ..< bound`, 0 being the simplest; all are equally likely. A recorded value that is too
    /// large is lowered to the largest.
    public mutating func choose(below bound: UInt64) -> UInt64 {
        choose(below: bound) { $0.next(below: bound) }
    }

    /// - Parameter target: the outcome, where it is given.
    /// - Throws: `Unreachable` if the target is not below the bound.
    public mutating func choose(below bound: UInt64, like target: UInt64?) throws -> UInt64 {
        if let target, target >= bound { throw Unreachable(target) }
        return choose(below: bound, like: target) { $0.next(below: bound) }
    }

    /// A choice in `0 ..< bound` with a distribution of its own, or one of the escapes.
    ///
    /// What `distribution` draws to get there is not recorded: only the outcome is a choice. A given outcome is
    /// recorded like one that is free, so that cutting out what comes before it leaves a sequence that still means what
    /// it did.
    mutating func choose(
        below bound: UInt64, escapes: UInt64 = 0, like target: UInt64? = nil,
        _ distribution: (inout RandomStream) -> UInt64
    ) -> UInt64 {
        precondition(bound > 0, "a choice among nothing")
        let drawn: UInt64? =
            switch source {
            case .random: target == nil && !isCalm ? distribution(&random) : nil
            case .sequence(let values): made.count < values.count ? values[made.count] : nil
            case .recording: replay?.next()
            }
        let wanted = target ?? drawn ?? 0
        let isEscape = wanted >= Choice.firstEscape && wanted - Choice.firstEscape < escapes
        let value = isEscape ? wanted : min(wanted, bound - 1)
        made.append(Choice(value: value, bound: bound))
        return value
    }

    /// A random number that is not a choice: it may only steer the distribution of choices to come. 0 on replay.
    mutating func hint(below bound: UInt64) -> UInt64 {
        if case .random = source { random.next(below: bound) } else { 0 }
    }

    /// Marks the choices that `body` makes as belonging together: a part that can be cut out, moved or made
    /// simplest as a whole. Spans of one label are interchangeable.
    public mutating func span<Result>(
        _ label: String, _ body: (inout Choices) throws -> Result
    ) rethrows -> Result {
        beginSpan(label)
        defer { endSpan() }
        return try body(&self)
    }

    /// Begins a span where a closure does not fit; see `span(_:_:)`.
    public mutating func beginSpan(_ label: String) {
        open.append(spans.count)
        spans.append(Span(label: label, range: made.count..<made.count, depth: open.count - 1))
        replay?.begin(label)
    }

    public mutating func endSpan() {
        guard let index = open.popLast() else { preconditionFailure("no span is open") }
        spans[index].range = spans[index].range.lowerBound..<made.count
        replay?.end()
    }
}
