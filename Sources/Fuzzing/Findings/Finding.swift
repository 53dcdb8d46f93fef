/// A cause of failures, its smallest case, and all that it explains.
public struct Finding: Sendable {
    public var failure: Failure
    /// Of the case that showed it first.
    public var index: UInt64
    /// The check of that case.
    let firstCheck: Check
    /// How far it has come in its run.
    var stage = Stage.found
    /// What its corpus file holds; nil where not even a case could be drawn.
    public var entry: CorpusEntry?
    /// The corpus file.
    public var path: String?
    /// Whether the run has made that file, and may take it away again.
    var ownsFile = false
    /// Why there is no corpus file.
    public var problem: String?
    /// Where it was seen.
    public var occurrences = Occurrences()
    /// The same case sometimes passes.
    public var isFlaky = false
    /// It did not fail again.
    public var isLost = false
    /// Whether its case could be made simpler still: time or runs ended before ways to do so did.
    public var isUnfinished = true
    /// What it needs in architectures that show it in ways of their own; the first is that of the smallest case. Empty
    /// while that is not known.
    var causes: [Cause] = []
    /// Cases that were judged to cut it down.
    private(set) var spent = 0 {
        didSet { entry?.found.evaluations = spent }
    }

    /// How far a run has come with a finding.
    enum Stage: String, Hashable, Sendable, Codable {
        /// It is kept.
        case found
        /// It was cut down as far as there was time for while cases waited.
        case settled
        /// It was cut down as far as the run does.
        case ended
    }

    /// What the smallest case needs; nil while that is not known.
    public var cause: Cause? { causes.first }

    /// Where failures of one cause were seen.
    public struct Occurrences: Hashable, Sendable, Codable {
        /// Cases.
        public var cases = 0
        public var architectures: Set<String> = []
        public var checks: Set<Check> = []
        public var devices: Set<String> = []

        private enum CodingKeys: String, CodingKey {
            case cases, architectures, checks, devices
        }

        public init() {}

        init(_ sightings: Sightings) {
            cases = sightings.cases
            architectures = Set(sightings.architectures.keys)
            checks = Set(sightings.checks.keys.compactMap(Check.init))
            devices = Set(sightings.devices.keys)
        }

        mutating func add(_ signature: Signature) {
            cases += 1
            architectures.insert(signature.architecture)
            checks.insert(signature.check)
            devices.insert(signature.device)
        }

        /// In alphabetical order, so that files of the same are the same.
        public func encode(to encoder: any Encoder) throws {
            var values = encoder.container(keyedBy: CodingKeys.self)
            try values.encode(cases, forKey: .cases)
            try values.encode(architectures.sorted(), forKey: .architectures)
            try values.encode(checks.map(\.rawValue).sorted(), forKey: .checks)
            try values.encode(devices.sorted(), forKey: .devices)
        }

        mutating func add(_ other: Occurrences) {
            cases += other.cases
            architectures.formUnion(other.architectures)
            checks.formUnion(other.checks)
            devices.formUnion(other.devices)
        }
    }

    /// - Parameter check: of case `index`; nil: that of the failure.
    init(_ failure: Failure, _ subject: Case?, index: UInt64, check: Check? = nil, found: CorpusEntry.Origin) {
        self.failure = failure
        self.index = index
        firstCheck = check ?? failure.signature.check
        entry = subject.map { subject in
            var subject = subject
            subject.devices = [failure.signature.device]
            return CorpusEntry(case: subject, signature: failure.signature, seen: failure.seen, found: found)
        }
    }

    /// What a run's log has of it.
    init(_ state: FindingState) {
        failure = Failure(signature: state.signature, seen: state.seen)
        index = state.failure.index
        firstCheck = state.check
        stage = state.stage
        entry = state.entry
        isFlaky = state.isFlaky
        isLost = state.isLost
        isUnfinished = state.isUnfinished
        causes = state.causes
        spent = state.evaluations
    }

    /// The failure that showed it.
    var place: FailurePlace { FailurePlace(index: index, device: failure.signature.device) }

    /// Takes what cutting the case down came to.
    mutating func take(_ shrunk: ShrunkCase) {
        isFlaky = shrunk.isFlaky
        isUnfinished = shrunk.isExhausted
        take(shrunk.case, shrunk.failure)
        spent += shrunk.evaluations
    }

    /// Takes what matters of the case.
    mutating func take(_ answer: CauseSearch.Answer) {
        take(answer.case, answer.failure)
        entry?.cause = answer.cause
        spent += answer.evaluations
        causes = [answer.cause]
    }

    private mutating func take(_ subject: Case, _ failure: Failure) {
        self.failure = failure
        entry?.case = subject
        entry?.signature = failure.signature
        entry?.seen = failure.seen
    }

    /// Whether a failure is known to be of this cause by what happened and where.
    func isSame(as signature: Signature) -> Bool {
        let own = failure.signature
        guard own.backend == signature.backend, own.place == signature.place else { return false }
        return switch Happening(kind: own.kind) {
        case .numbers: false
        case .crash: own.kind == signature.kind && own.place != nil
        // Of one function, the end of a message may say what it met there.
        case .message: own.place == nil ? own.kind == signature.kind : own.kind.message == signature.kind.message
        }
    }

    /// Whether what another needs is what this needs.
    func includes(_ other: Finding) -> Bool {
        guard failure.signature.backend == other.failure.signature.backend else { return false }
        if isSame(as: other.failure.signature) { return true }
        guard happensLike(other.failure.signature) else { return false }
        return causes.contains { own in other.causes.contains { own.includes($0, isWidespread: isWidespread) } }
    }

    /// Whether so many architectures have shown it that it is no matter of one of them.
    var isWidespread: Bool { occurrences.architectures.count >= 4 }

    /// Whether one cause may show in both ways: what damages memory changes numbers too.
    func happensLike(_ signature: Signature) -> Bool {
        let (own, other) = (Happening(kind: failure.signature.kind), Happening(kind: signature.kind))
        if own == .message || other == .message { return failure.signature.kind == signature.kind && own == other }
        return own == other || !(cause?.hasSizesOnly ?? true)
    }

    /// Takes over what another finding of the same cause was seen with.
    mutating func absorb(_ other: Finding) {
        occurrences.add(other.occurrences)
        causes += other.causes.filter { !causes.contains($0) }
    }
}

extension String {
    /// A kind without what follows its message: `SIGABRT: binary-ops.cpp: binary_op` of one that says
    /// which types are not supported.
    var message: String { split(separator: ": ").prefix(3).joined(separator: ": ") }
}
