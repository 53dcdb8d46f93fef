import Foundation
import Fuzzing

/// A record for each case of a run, one JSON object a line, written as the run goes.
///
/// What cannot be written is said at once, and the run goes on without its log.
final class CaseLog: @unchecked Sendable {
    private let path: String
    private let seed: UInt64
    private let file: FileHandle
    // What follows is used by one thread at a time: events of a run are never handled twice at once.
    /// Bytes of whole lines.
    private var length: UInt64 = 0
    /// Why the log ends before the run does.
    private(set) var failure: CommandError?

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

    func append(_ record: CaseRecord) {
        guard failure == nil else { return }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            let line = try encoder.encode(Line(record, seed)) + Data("\n".utf8)
            try file.write(contentsOf: line)
            length += UInt64(line.count)
        } catch {
            // No half a line stays; a pipe cannot take it back.
            try? file.truncate(atOffset: length)
            let failure = CommandError("\(path): cannot be written: \(Self.reason(error))")
            Terminal.note("gguf-fuzz: \(failure); the run goes on")
            self.failure = failure
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
