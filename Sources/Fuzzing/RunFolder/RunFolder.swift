import Foundation
import GGUF

/// A run as a folder: `plan.json`, `log.jsonl`, which is only ever appended to, and `corpus`, with a file for each
/// finding.
public struct RunFolder: Hashable, Sendable {
    public let path: String

    public init(_ path: String) { self.path = path }

    public var planPath: String { path + "/plan.json" }
    public var logPath: String { path + "/log.jsonl" }
    public var corpusPath: String { path + "/corpus" }
    var corpus: Corpus { Corpus(folder: corpusPath) }

    // MARK: Reading

    /// Reads a folder, of a run that is going on too. The log is streamed: memory does not grow with the cases.
    /// - Throws: `CorpusError` that names the file and line.
    public static func read(_ url: URL) throws -> RunRecord {
        let folder = RunFolder(url.relativePath)
        let plan = try folder.plan()
        guard FileManager.default.fileExists(atPath: folder.logPath) else {
            return RunRecord(summary: RunSummary(plan, PastRun(plan), in: folder), tornBytes: 0)
        }
        let (past, lines) = try folder.past(of: plan)
        return RunRecord(summary: RunSummary(plan, past, in: folder), tornBytes: lines.tornBytes)
    }

    /// - Throws: `CorpusError` where there is none, or it is no plan.
    func plan() throws -> RunPlan {
        guard FileManager.default.fileExists(atPath: planPath) else {
            var isFolder: ObjCBool = false
            guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
                throw CorpusError(path: path, reason: "no such folder")
            }
            let isClosed = isFolder.boolValue && access(path, X_OK) != 0
            throw CorpusError(
                path: path,
                reason: isClosed ? "cannot be read: \(SystemError())" : "is no folder of a run: there is no plan.json")
        }
        do {
            return try JSONText.decode(RunPlan.self, from: CorpusError.contents(of: planPath))
        } catch let error as DecodingError {
            throw CorpusError(path: planPath, reason: "is no plan of a run: \(error.line)")
        }
    }

    private func past(of plan: RunPlan) throws -> (PastRun, LogLines) {
        let lines = try LogLines(logPath)
        var past = PastRun(plan)
        while let (line, _) = try lines.next() {
            do {
                try past.take(line)
            } catch let error as PastRun.Contradiction {
                throw lines.foreign(error.reason)
            }
        }
        return (past, lines)
    }

    // MARK: Running

    /// Begins a run, or goes on with the one that the folder is of: a torn last line is dropped, and the corpus is made
    /// to hold what the log says.
    /// - Throws: `CorpusError` where the run is of another plan, where another process is at it, and for what cannot be
    ///   read or written.
    public func open(_ plan: RunPlan) throws -> RunLog {
        let isNew = try prepare(plan)
        let descriptor = Foundation.open(logPath, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw CorpusError(path: logPath, reason: "cannot be written: \(SystemError())") }
        do {
            // Where a file system has no locks, there is none.
            guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK else {
                throw CorpusError(path: path, reason: "another process runs it")
            }
            let (past, lines) = try past(of: plan)
            guard ftruncate(descriptor, off_t(lines.length)) == 0 else {
                throw CorpusError(path: logPath, reason: "cannot be written: \(SystemError())")
            }
            if !isNew { restoreCorpus(past) }
            return RunLog(self, plan, past, descriptor: descriptor, length: lines.length)
        } catch {
            RunLog.release(descriptor)
            throw error
        }
    }

    /// - Returns: whether the run begins.
    private func prepare(_ plan: RunPlan) throws -> Bool {
        let manager = FileManager.default
        if manager.fileExists(atPath: planPath) {
            if let difference = plan.difference(from: try self.plan()) {
                throw CorpusError(path: path, reason: "is of another run: \(difference)")
            }
            return false
        }
        for name in ["log.jsonl", "corpus"] where manager.fileExists(atPath: "\(path)/\(name)") {
            throw CorpusError(path: path, reason: "there is a \(name), but no plan.json that says of which run")
        }
        do {
            try manager.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw CorpusError(path: path, reason: "cannot be made a folder: \(CorpusError.reason(error))")
        }
        try write(plan)
        return true
    }

    /// The file appears as a whole or not at all.
    func write(_ plan: RunPlan) throws {
        do {
            try ReplacementFile.save(JSONText.encode(plan).utf8, to: planPath)
        } catch let error as GGUFError {
            throw CorpusError(path: planPath, reason: error.reason)
        }
    }

    /// What the run has made and is of no finding in the log was being written when it was killed, and is found again.
    /// What else is there is somebody's.
    private func restoreCorpus(_ past: PastRun) {
        let entries = past.findings.values.compactMap(\.entry)
        let wanted = Set(entries.map { Corpus.name(of: $0) })
        for name in past.files.subtracting(wanted) { corpus.remove("\(corpusPath)/\(name)") }
        // What cannot be written now is said when the run ends.
        for entry in entries where (try? CorpusEntry(path: corpus.path(of: entry))) == nil {
            _ = try? corpus.keep(entry)
        }
    }
}
