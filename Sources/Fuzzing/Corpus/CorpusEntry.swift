import Foundation
import GGUF

/// A case that failed once, as its file has it: complete, so that it replays whatever becomes of the generator.
public struct CorpusEntry: Hashable, Sendable, Codable {
    public var `case`: Case
    public var signature: Signature
    /// What was seen, for a person.
    public var seen: String
    public var found: Origin
    /// What it needs, once that has been found out.
    public var cause: Cause?
    /// Where the run that kept it has seen it.
    public var occurrences: Finding.Occurrences?
    /// Of a finding that is waited for: what else it explains.
    public var known: KnownFindings.Scope?

    /// Where the case came from.
    public struct Origin: Hashable, Sendable, Codable {
        public var seed: UInt64
        /// Number of the case that failed, before it was shrunk.
        public var index: UInt64
        /// Of this program.
        public var version: String
        /// What was put into the device on purpose, if anything: replaying puts it there again.
        public var fault: String?
        /// Versions of other engines on which it was seen.
        public var engine: String?
        /// How many cases were judged to shrink it; nil: it is as it was found.
        public var evaluations: Int?

        public init(
            seed: UInt64, index: UInt64, version: String, fault: String? = nil, engine: String? = nil,
            evaluations: Int? = nil
        ) {
            self.seed = seed
            self.index = index
            self.version = version
            self.fault = fault
            self.engine = engine
            self.evaluations = evaluations
        }
    }

    public init(case: Case, signature: Signature, seen: String, found: Origin) {
        self.case = `case`
        self.signature = signature
        self.seen = seen
        self.found = found
    }

    /// What went wrong, where or with what, and on what: `wrong numbers with type Q4_K, flash attention on cpu`.
    public var title: String {
        var words = Happening(kind: signature.kind) == .numbers ? Happening.numbers.rawValue : signature.kind
        if let place = signature.place {
            words += " in \(place)"
        } else if Happening(kind: signature.kind) != .numbers {
            words += " in \(signature.stage)"
        }
        if let cause, Happening(kind: signature.kind) != .message {
            if cause.hasSizesOnly { words += cause.isOutside ? " outside the blocks" : cause.opWords }
            if signature.place == nil, !cause.needs.isEmpty { words += " with \(cause.words)" }
        }
        return words + " on \(signature.backend)"
    }

    /// Of two that fail in the same way; see `Case.isSimpler`.
    public func isSimpler(than other: CorpusEntry) -> Bool { `case`.isSimpler(than: other.case) }

    // MARK: Files

    /// - Throws: `CorpusError` that names the file and what is wrong with it.
    public init(path: String) throws {
        let data = try CorpusError.contents(of: path)
        do {
            self = try JSONText.decode(CorpusEntry.self, from: data)
        } catch let error as DecodingError {
            throw CorpusError(path: path, reason: error.line)
        } catch {
            throw CorpusError(path: path, reason: "\(error)")
        }
        guard !`case`.devices.isEmpty else { throw CorpusError(path: path, reason: "case.devices: names no device") }
        if let reason = `case`.script.absurdity { throw CorpusError(path: path, reason: "case.script.\(reason)") }
    }

    /// The file's text.
    public func text() throws -> String { try JSONText.encode(self) }

    /// Writes the file as a whole or not at all.
    /// - Throws: `CorpusError`.
    public func write(to path: String) throws {
        do {
            try ReplacementFile.save(text().utf8, to: path)
        } catch let error as GGUFError {
            throw CorpusError(path: path, reason: error.reason)
        }
    }
}

/// A corpus file that cannot be read or written: which, where in it, and why.
public struct CorpusError: Error, Hashable, Sendable, CustomStringConvertible {
    public var path: String
    public var reason: String
    public var description: String { "\(path): \(reason)" }

    public init(path: String, reason: String) {
        self.path = path
        self.reason = reason
    }

    /// The bytes of a file.
    /// - Throws: `CorpusError` where it cannot be read.
    public static func contents(of path: String) throws -> Data {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw CorpusError(
                path: path, reason: FileManager.default.fileExists(atPath: path) ? "cannot be read" : "no such file")
        }
        return data
    }

    /// The system's own word for what went wrong.
    static func reason(_ error: any Error) -> String {
        let underlying = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
        let number: Int32? = switch (underlying, (error as? CocoaError)?.code) {
        case (let underlying?, _) where underlying.domain == NSPOSIXErrorDomain: Int32(underlying.code)
        case (_, .fileWriteVolumeReadOnly): EROFS
        case (_, .fileWriteNoPermission): EACCES
        case (_, .fileWriteOutOfSpace): ENOSPC
        case (_, .fileWriteFileExists): EEXIST
        default: nil
        }
        return number.map { String(cString: strerror($0)) } ?? error.localizedDescription
    }
}
