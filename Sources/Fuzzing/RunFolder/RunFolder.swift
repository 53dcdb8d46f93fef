import Foundation

/// A run as a folder: `plan.json`, `log.jsonl`, which is only ever appended to, and `corpus`, with the file of each finding.
public struct RunFolder: Sendable {
    public let path: String

    public init(_ path: String) { self.path = path }

    public var planPath: String { path + "/plan.json" }
    public var logPath: String { path + "/log.jsonl" }
    public var corpusPath: String { path + "/corpus" }

    /// Reads a folder, of a run that is going on too. The log is streamed: it takes no memory that grows with the cases.
    /// - Throws: `CorpusError` that names the file and line.
    public static func read(_ url: URL) throws -> RunRecord {
        throw CorpusError(path: url.relativePath, reason: "cannot be read yet")
    }
}
