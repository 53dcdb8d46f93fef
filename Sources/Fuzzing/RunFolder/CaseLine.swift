import Foundation

/// A case of a run as a log has it: one JSON object on a line.
public struct CaseLine: Hashable, Sendable, Codable {
    public var index: UInt64
    public var seed: UInt64
    public var architecture: String
    /// nil where not even a case could be drawn.
    public var check: Check?
    public var layers: Int
    public var tokens: Int
    public var features: [String]
    /// From drawing the case to the last verdict.
    public var milliseconds: Double
    /// Of a run's folder: milliseconds since the case before it was judged, or since the run began.
    public var elapsed: Int?
    public var verdicts: [Verdict]

    public enum Outcome: String, Hashable, Sendable, Codable {
        case pass, fail, discard, known
    }

    /// What came of it on one device.
    public struct Verdict: Hashable, Sendable, Codable {
        public var device: String
        public var outcome: Outcome
        /// Of a discard; of a known finding its name.
        public var reason: String?
        /// Of a failure.
        public var stage: String?
        public var kind: String?
        /// Of a death: the functions of its stack, innermost first.
        public var frames: [String]?
        public var seen: String?
        /// The worst error of a row, as a multiple of its noise floor; of a failure that is not finite, none.
        public var noise: Double?
        /// Ops that ran elsewhere than they were placed.
        public var fallbacks: [String]?
        /// Of a failure in a run's folder: the number of the finding that explains it, where there was one already.
        public var finding: UInt64?

        fileprivate init(_ verdict: Fuzzing.Verdict) {
            device = verdict.device
            noise = verdict.worst.flatMap { $0.isFinite ? $0 : nil }
            fallbacks = verdict.fallbacks.isEmpty ? nil : verdict.fallbacks
            switch verdict.outcome {
            case .passed: outcome = .pass
            case .discarded(let reason): (outcome, self.reason) = (.discard, reason)
            case .known(let name): (outcome, reason) = (.known, name)
            case .failed(let failure):
                outcome = .fail
                stage = failure.signature.stage
                kind = failure.signature.kind
                frames = failure.signature.frames.isEmpty ? nil : failure.signature.frames
                seen = failure.seen
            }
        }
    }

    public init(_ record: CaseRecord, seed: UInt64) {
        index = record.index
        self.seed = seed
        architecture = record.architecture
        check = record.check
        layers = record.layers
        tokens = record.tokens
        features = record.features
        milliseconds = (record.duration / .milliseconds(1) * 1e3).rounded() / 1e3
        verdicts = record.verdicts.map(Verdict.init)
    }

    /// What the line was made of.
    var record: CaseRecord {
        var record = CaseRecord(index: index, architecture: architecture)
        record.check = check
        record.features = features
        record.layers = layers
        record.tokens = tokens
        record.duration = .milliseconds(milliseconds)
        record.verdicts = verdicts.map { verdict in
            let outcome: Fuzzing.Verdict.Outcome = switch verdict.outcome {
            case .pass: .passed
            case .discard: .discarded(verdict.reason ?? "")
            case .known: .known(verdict.reason ?? "")
            case .fail: .failed(failure(verdict))
            }
            return Fuzzing.Verdict(
                device: verdict.device, outcome: outcome, worst: verdict.noise, fallbacks: verdict.fallbacks ?? [])
        }
        return record
    }

    /// The failure that a verdict is of.
    public func failure(_ verdict: Verdict) -> Failure {
        Failure(
            signature: Signature(
                check: check ?? .agrees, device: verdict.device, architecture: architecture, stage: verdict.stage ?? "",
                kind: verdict.kind ?? "", frames: verdict.frames ?? []),
            seen: verdict.seen ?? "")
    }

    /// The cases of a log, of a run's folder or not, one after the other.
    /// - Parameter body: told the number of the line, too.
    /// - Throws: `CorpusError` that names the line, and what `body` throws.
    public static func forEach(in path: String, _ body: (CaseLine, _ line: Int) throws -> Void) throws {
        let lines = try LogLines(path)
        while let (line, _) = try lines.next() {
            if case .judged(let judged) = line { try body(judged, lines.number) }
        }
    }

    /// The line with its end.
    /// - Throws: `EncodingError`.
    public func data() throws -> Data { try JSONLine.encode(self) }
}

/// JSON on one line.
enum JSONLine {
    static func encode(_ value: some Encodable) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        return try encoder.encode(value) + Data("\n".utf8)
    }
}
