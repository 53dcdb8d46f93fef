/// What came of a case on one device.
public struct Verdict: Hashable, Sendable {
    public enum Outcome: Hashable, Sendable {
        case passed
        case failed(Failure)
        /// The case says nothing about this device, and why.
        case discarded(String)
        /// It fails, or would, as a known finding explains: its name.
        case known(String)
    }
    public var device: String
    public var outcome: Outcome
    /// The error of the worst row over its noise floor; nil where no row was compared that way.
    public var worst: Double?
    /// Ops that ran elsewhere than they were placed.
    public var fallbacks: [String]

    public init(device: String, outcome: Outcome, worst: Double? = nil, fallbacks: [String] = []) {
        self.device = device
        self.outcome = outcome
        self.worst = worst
        self.fallbacks = fallbacks
    }

    /// Why a case is discarded whose engine this program ended (`EngineStop`): it was not judged.
    static let stopped = "stopped"
    var isStopped: Bool { outcome == .discarded(Self.stopped) }

    public var failure: Failure? {
        if case .failed(let failure) = outcome { failure } else { nil }
    }
}

/// A property that does not hold.
public struct Failure: Hashable, Sendable {
    public var signature: Signature
    /// What was seen, for a person.
    public var seen: String

    public init(signature: Signature, seen: String) {
        self.signature = signature
        self.seen = seen
    }
}
