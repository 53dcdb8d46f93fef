/// What a run's folder holds, read as a whole.
public struct RunRecord: Sendable {
    public var summary: RunSummary
    /// Bytes of a last line that was never finished, which do not count: the run was killed while it wrote them, or is
    /// writing them now.
    public var tornBytes: Int
}

/// What a run, or what several that were merged, came to so far. Its size does not depend on the number of cases.
public struct RunSummary: Hashable, Sendable, Codable {
    public var plan: RunPlan
    public var tally: Tally
    /// One for each cause, in the order of the cases that showed them.
    public var findings: [RunFinding]
    /// How long cases were judged, of all sessions and shards together; what is cut down after the last case takes time
    /// of its own.
    public var seconds: Double
    /// How much sooner pairs of features were seen than without steering; nil: there is none, or it is not over.
    public var steering: SteeringGain?
    /// Whether all that was planned is done, cutting down what failed too.
    public var isComplete: Bool
    /// Failures of which it is not known yet what they are of: the run was killed, or is at it now.
    public var unexplained: Int
}

/// A cause of failures as a report tells it.
public struct RunFinding: Hashable, Sendable, Codable {
    /// The same in all runs that meet the cause in the same way: what went wrong, with what and where. It is the name
    /// of the corpus file without its ending, too.
    public var key: String
    /// What went wrong, in one line.
    public var title: String
    /// Of the smallest case.
    public var signature: Signature
    /// The smallest case in words: its size and steps, what is peculiar to it; a line each.
    public var words: [String]
    /// What of it matters; a line each.
    public var needs: [String]
    /// What was seen of it.
    public var seen: String
    /// Of a death: the functions of its stack, innermost first.
    public var frames: [String]
    /// The case that showed it first.
    public var index: UInt64
    /// `case 7 of seed 1, shrunk in 240 runs`
    public var history: String
    /// The corpus file, below the run's folder; nil where not even a case could be drawn.
    public var file: String?
    /// What runs the corpus file again.
    public var replay: String?
    /// What writes its model and shows the failure by llama.cpp's own tools: a line each, in this order. Empty for
    /// other engines.
    public var llamaCommands: [String]
    public var sightings: Sightings
    /// The same case sometimes passes.
    public var isFlaky: Bool
    /// It did not fail again.
    public var isLost: Bool
    /// Cutting it down is not at its end, which a run that goes on does.
    public var isUnfinished: Bool
}

/// Where failures of one cause were seen, and how often.
public struct Sightings: Hashable, Sendable, Codable {
    public internal(set) var cases = 0
    public internal(set) var architectures: [String: Int] = [:]
    public internal(set) var checks: [String: Int] = [:]
    public internal(set) var devices: [String: Int] = [:]

    public init() {}
}
