/// What the log of a run says: what is done, and what of that still waits. Its size does not depend on the number of
/// cases.
struct PastRun: Sendable {
    private let plan: RunPlan
    private(set) var tally = Tally()
    /// Milliseconds from the begin to the last case that was judged, of all sessions and shards together.
    private(set) var elapsed = 0
    private(set) var findings: [UInt64: Finding] = [:]
    private(set) var sightings: [UInt64: Sightings] = [:]
    /// How often a finding explained failures of an architecture that were not seen to be its own by what happened.
    private(set) var explanations: [Findings.Proof: Int] = [:]
    /// Findings that became part of others.
    private(set) var joined: [UInt64: UInt64] = [:]
    /// Cases that were judged to cut findings down while others waited.
    private(set) var spent = 0
    /// No finding has had this number or a greater one.
    private(set) var nextNumber: UInt64 = 0
    /// Of the cases of a shard, counted from 0: the first that is not done.
    private(set) var next: UInt64 = 0
    /// Those after it that are.
    private(set) var ahead: Set<UInt64> = []
    /// Names of the corpus files that the run has made.
    private(set) var files: Set<String> = []
    private(set) var steering: SteeringGain?
    private var completions = 0
    private var open: [FailurePlace: OpenFailure] = [:]
    /// Failures of findings of which no more is known: the run was killed before it was written.
    private var dangling: [UInt64: [OpenFailure]] = [:]

    /// A failure of which it is not settled yet which finding it is of.
    struct OpenFailure: Sendable {
        var place: FailurePlace
        var failure: Failure
        /// The finding that was made of it; what is left is to cut it down.
        var finding: UInt64?
    }

    /// A line that does not follow from those before it.
    struct Contradiction: Error, Hashable, Sendable {
        var reason: String
    }

    init(_ plan: RunPlan) { self.plan = plan }

    /// Whether all that was planned is done.
    var isComplete: Bool { completions >= plan.shards.count }

    /// In the order in which they were met.
    var openFailures: [OpenFailure] {
        let lost = dangling.values.joined().map { open in
            var open = open
            open.finding = nil
            return open
        }
        func rank(_ open: OpenFailure) -> Int { plan.devices.firstIndex(of: open.place.device) ?? plan.devices.count }
        return (Array(open.values) + lost).sorted {
            ($0.place.index, rank($0)) < ($1.place.index, rank($1))
        }
    }

    /// - Throws: `Contradiction`.
    mutating func take(_ line: LogLine) throws {
        switch line {
        case .judged(let line): try take(line)
        case .counted(let counts):
            guard counts.from < counts.to, plan.shards.count > 1 || counts.to > next else {
                throw Contradiction(reason: "counts cases that have been counted")
            }
            tally.add(counts.tally)
            elapsed += counts.elapsed
            next = max(next, counts.to)
            ahead = ahead.filter { $0 >= next }
            advance()
        case .finding(let state): take(state)
        case .joined(let joined):
            let number = root(joined.with)
            guard number != joined.number, findings[number] != nil else {
                throw Contradiction(reason: "joins a finding with one that there is not")
            }
            self.joined[joined.number] = number
            if let dropped = findings.removeValue(forKey: joined.number) { open[dropped.place] = nil }
            sightings[number, default: Sightings()].add(sightings.removeValue(forKey: joined.number) ?? Sightings())
            for (proof, count) in explanations where proof.finding == joined.number {
                explanations[proof] = nil
                explanations[.init(finding: number, architecture: proof.architecture), default: 0] += count
            }
        case .explained(let explained):
            guard let failure = open.removeValue(forKey: explained.failure) else {
                throw Contradiction(reason: "explains a failure that there is not")
            }
            var signature = failure.failure.signature
            signature.check = explained.check
            sightings[root(explained.finding), default: Sightings()].add(signature)
        case .file(let name):
            guard !name.contains("/") else { throw Contradiction(reason: "names a file outside of the corpus") }
            files.insert(name)
        case .steering(let gain): steering = gain
        case .complete: completions += 1
        }
    }

    private mutating func take(_ line: CaseLine) throws {
        guard line.seed == plan.seed else { throw Contradiction(reason: "is of seed \(line.seed)") }
        guard plan.shards.contains(line.index % plan.shardCount + 1), line.index < plan.cases ?? .max else {
            throw Contradiction(reason: "has case \(line.index), which is none of the plan")
        }
        if plan.shards.count == 1 {
            let number = line.index / plan.shardCount
            guard number >= next, ahead.insert(number).inserted else {
                throw Contradiction(reason: "has case \(line.index) again")
            }
            advance()
        }
        tally.add(line.record)
        elapsed += line.elapsed ?? 0
        for verdict in line.verdicts where verdict.outcome == .fail {
            let place = FailurePlace(index: line.index, device: verdict.device)
            let failure = line.failure(verdict)
            guard let finding = verdict.finding else {
                open[place] = OpenFailure(place: place, failure: failure)
                continue
            }
            nextNumber = max(nextNumber, finding + 1)
            let number = root(finding)
            sightings[number, default: Sightings()].add(failure.signature)
            if let known = findings[number] {
                guard !known.isSame(as: failure.signature) else { continue }
                explanations[.init(finding: number, architecture: line.architecture), default: 0] += 1
            } else {
                dangling[number, default: []].append(OpenFailure(place: place, failure: failure))
            }
        }
    }

    private mutating func take(_ state: FindingState) {
        if findings[state.number] == nil, joined[state.number] == nil {
            var signature = state.signature
            signature.check = state.check
            sightings[state.number, default: Sightings()].add(signature)
            dangling[state.number] = nil
        }
        joined[state.number] = nil
        findings[state.number] = Finding(state)
        nextNumber = max(nextNumber, state.number + 1)
        spent = max(spent, state.spent)
        if state.stage == .found {
            open[state.failure]?.finding = state.number
        } else {
            open[state.failure] = nil
        }
    }

    private mutating func advance() {
        while ahead.remove(next) != nil { next += 1 }
    }

    private func root(_ number: UInt64) -> UInt64 {
        var number = number
        while let next = joined[number] { number = next }
        return number
    }
}

extension Sightings {
    mutating func add(_ signature: Signature) {
        cases += 1
        architectures[signature.architecture, default: 0] += 1
        checks[signature.check.rawValue, default: 0] += 1
        devices[signature.device, default: 0] += 1
    }

    mutating func add(_ other: Sightings) {
        cases += other.cases
        architectures.merge(other.architectures, uniquingKeysWith: +)
        checks.merge(other.checks, uniquingKeysWith: +)
        devices.merge(other.devices, uniquingKeysWith: +)
    }
}
