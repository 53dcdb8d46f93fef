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
        do {
            let line = try CaseLine(record, seed: seed).data()
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
}
