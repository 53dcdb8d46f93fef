import Foundation
import Fuzzing

/// A record for each case of a run, one JSON object a line, written as the run goes.
final class CaseLog: Sendable {
    private let path: String
    private let seed: UInt64
    private let file: FileHandle

    /// - Throws: `CommandError` if the file cannot be written.
    init(_ path: String, seed: UInt64) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw CommandError("\(path): cannot be written: \(String(cString: strerror(errno)))")
        }
        self.path = path
        self.seed = seed
        file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    }

    /// - Throws: `CommandError` if it cannot be written.
    func append(_ record: CaseRecord) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            try file.write(contentsOf: encoder.encode(Line(record, seed)) + Data("\n".utf8))
        } catch {
            throw CommandError("\(path): cannot be written: \(Self.reason(error))")
        }
    }

    private static func reason(_ error: any Error) -> String {
        let underlying = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError ?? error as NSError
        return underlying.domain == NSPOSIXErrorDomain
            ? String(cString: strerror(Int32(underlying.code))) : error.localizedDescription
    }

    /// What came of a case on one device; read by `triage` too.
    struct Verdict: Codable {
        var device: String
        var outcome: String
        /// Of a discard; of a known finding its name.
        var reason: String?
        /// Of a failure.
        var stage: String?
        var kind: String?
        /// Of a death: the functions of its stack, innermost first.
        var frames: [String]?
        var seen: String?
        /// The worst error of a row, as a multiple of its noise floor; of a failure that is not finite, none.
        var noise: Double?
    }

    private struct Line: Encodable {
        var index: UInt64
        var seed: UInt64
        var architecture: String
        var check: String?
        var layers: Int
        var tokens: Int
        var features: [String]
        var milliseconds: Double
        var verdicts: [Verdict]

        init(_ record: CaseRecord, _ seed: UInt64) {
            index = record.index
            self.seed = seed
            architecture = record.architecture
            check = record.check?.rawValue
            layers = record.layers
            tokens = record.tokens
            features = record.features
            milliseconds = (record.duration.seconds * 1e6).rounded() / 1e3
            verdicts = record.verdicts.map { verdict in
                let noise = verdict.worst.flatMap { $0.isFinite ? $0 : nil }
                return switch verdict.outcome {
                case .passed: Verdict(device: verdict.device, outcome: "pass", noise: noise)
                case .discarded(let reason): Verdict(device: verdict.device, outcome: "discard", reason: reason)
                case .known(let name): Verdict(device: verdict.device, outcome: "known", reason: name)
                case .failed(let failure):
                    Verdict(
                        device: verdict.device, outcome: "fail", stage: failure.signature.stage,
                        kind: failure.signature.kind,
                        frames: failure.signature.frames.isEmpty ? nil : failure.signature.frames, seen: failure.seen,
                        noise: noise)
                }
            }
        }
    }
}
