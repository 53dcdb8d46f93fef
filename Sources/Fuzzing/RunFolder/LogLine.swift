/// A line of a run's log: a case, or what became of the findings meanwhile.
enum LogLine: Sendable {
    case judged(CaseLine)
    case counted(Counts)
    case finding(FindingState)
    case joined(Joined)
    case explained(Explained)
    /// The name of a corpus file that the run is about to make: it is the run's, to take away again.
    case file(String)
    /// What steering has brought, once the run is over.
    case steering(SteeringGain)
    /// All that was planned is done.
    case complete

    /// Cases that have no lines of their own.
    struct Counts: Hashable, Sendable, Codable {
        /// The numbers, from 0, of the shard's cases that are done. Those with lines of their own are among them, but
        /// are not counted here.
        var from: UInt64
        /// The first that is not done.
        var to: UInt64
        var tally: Tally
        /// Milliseconds, as of a case.
        var elapsed: Int
    }

    /// A finding turned out to be of the cause of another.
    struct Joined: Hashable, Sendable, Codable {
        var number: UInt64
        var with: UInt64
    }

    /// A failure that was looked into is one of a finding that there is.
    struct Explained: Hashable, Sendable, Codable {
        var failure: FailurePlace
        var finding: UInt64
        /// How it was seen to be that.
        var check: Check
    }
}

/// Which failure of a run.
struct FailurePlace: Hashable, Sendable, Codable {
    /// Of the case.
    var index: UInt64
    var device: String
}

/// A finding as it is now.
struct FindingState: Sendable, Codable {
    var number: UInt64
    /// The failure that showed it first, and under which check.
    var failure: FailurePlace
    var check: Check
    var stage: Finding.Stage
    var signature: Signature
    var seen: String
    /// nil where not even a case could be drawn.
    var entry: CorpusEntry?
    var causes: [Cause]
    var isFlaky: Bool
    var isLost: Bool
    var isUnfinished: Bool
    /// Cases that were judged to cut it down.
    var evaluations: Int
    /// Cases that were judged to cut findings down while others waited, in the whole run.
    var spent: Int
}

extension FindingState {
    init(number: UInt64, _ finding: Finding, spent: Int) {
        self.number = number
        failure = finding.place
        check = finding.firstCheck
        stage = finding.stage
        signature = finding.failure.signature
        seen = finding.failure.seen
        entry = finding.entry
        // The log says where it was seen.
        entry?.occurrences = nil
        causes = finding.causes
        isFlaky = finding.isFlaky
        isLost = finding.isLost
        isUnfinished = finding.isUnfinished
        evaluations = finding.spent
        self.spent = spent
    }
}

extension LogLine: Codable {
    private enum CodingKeys: String, CodingKey {
        case index, counts, finding, joined, explained, file, steering, complete
    }

    init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        if values.contains(.index) {
            self = .judged(try CaseLine(from: decoder))
        } else if values.contains(.counts) {
            self = .counted(try values.decode(Counts.self, forKey: .counts))
        } else if values.contains(.finding) {
            self = .finding(try values.decode(FindingState.self, forKey: .finding))
        } else if values.contains(.joined) {
            self = .joined(try values.decode(Joined.self, forKey: .joined))
        } else if values.contains(.explained) {
            self = .explained(try values.decode(Explained.self, forKey: .explained))
        } else if values.contains(.file) {
            self = .file(try values.decode(String.self, forKey: .file))
        } else if values.contains(.steering) {
            self = .steering(try values.decode(SteeringGain.self, forKey: .steering))
        } else if values.contains(.complete) {
            self = .complete
        } else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: [], debugDescription: "neither a case nor what became of a finding"))
        }
    }

    func encode(to encoder: any Encoder) throws {
        if case .judged(let line) = self { return try line.encode(to: encoder) }
        var values = encoder.container(keyedBy: CodingKeys.self)
        switch self {
        case .judged: break
        case .counted(let counts): try values.encode(counts, forKey: .counts)
        case .finding(let state): try values.encode(state, forKey: .finding)
        case .joined(let joined): try values.encode(joined, forKey: .joined)
        case .explained(let explained): try values.encode(explained, forKey: .explained)
        case .file(let name): try values.encode(name, forKey: .file)
        case .steering(let gain): try values.encode(gain, forKey: .steering)
        case .complete: try values.encode(true, forKey: .complete)
        }
    }
}
