import Foundation

/// A folder of corpus files, one for each finding.
public struct Corpus: Sendable {
    public var folder: String

    public init(folder: String) { self.folder = folder }

    /// The file of an entry: of its cause, `wrong-numbers-with-type-Q4_K-on-cpu.json`, or while that is not known of
    /// its signature, `agrees-cpu-llama-process-mismatch.json`.
    ///
    /// What was put into the device is part of the name, if anything: no such file takes the place of a real failure's.
    public func path(of entry: CorpusEntry) -> String {
        URL(fileURLWithPath: folder).appendingPathComponent(Self.name(of: entry)).relativePath
    }

    static func name(of entry: CorpusEntry) -> String {
        let signature = entry.signature
        let what = entry.cause != nil ? [entry.title] : [
            signature.check.rawValue, signature.device, signature.architecture, signature.stage, signature.kind,
        ]
        let parts = what + (entry.found.fault.map { ["with", $0] } ?? [])
        let name = parts.joined(separator: "-")
            .split { !$0.isASCII || !($0.isLetter || $0.isNumber || "._".contains($0)) }.joined(separator: "-")
        // Kinds can be whole assertions; what is cut off still tells them apart.
        let short = name.count <= 120 ? name : name.prefix(100) + "-" + hash(parts.joined(separator: "\n"))
        return short + ".json"
    }

    /// Writes an entry, unless the folder has a simpler one of the same name. The file is replaced as a whole or not at
    /// all; what somebody has said of it, that it is known, stays.
    /// - Returns: the path of the entry's file.
    /// - Throws: `CorpusError`.
    @discardableResult
    public func keep(_ entry: CorpusEntry) throws -> String {
        let path = path(of: entry)
        var entry = entry
        if let other = try? CorpusEntry(path: path) {
            if other.isSimpler(than: entry) { return path }
            entry.known = entry.known ?? other.known
        }
        do {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        } catch {
            throw CorpusError(path: folder, reason: "cannot be made a folder: \(CorpusError.reason(error))")
        }
        try entry.write(to: path)
        return path
    }

    /// Takes a file away that a run has kept; one that is not there is no matter.
    func remove(_ path: String) { try? FileManager.default.removeItem(atPath: path) }

    /// The corpus files of paths: a file is itself, a folder all that is in it and below.
    /// - Parameters:
    ///   - paths: of files and folders.
    ///   - refusingNone: whether a folder that has none is an error: to run nothing is no success.
    /// - Throws: `CorpusError` for a path that is not there.
    public static func files(_ paths: [String], refusingNone: Bool = false) throws -> [String] {
        try paths.flatMap { path -> [String] in
            var isFolder: ObjCBool = false
            guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
                throw CorpusError(path: path, reason: "no such file or folder")
            }
            guard isFolder.boolValue else { return [path] }
            let names = FileManager.default.enumerator(atPath: path)?.compactMap { $0 as? String } ?? []
            let files = names.filter { $0.hasSuffix(".json") }.sorted()
            if files.isEmpty, refusingNone { throw CorpusError(path: path, reason: "has no corpus files") }
            return files.map {
                URL(fileURLWithPath: path).appendingPathComponent($0).relativePath
            }
        }
    }

    /// 64-bit FNV-1a in hexadecimal.
    private static func hash(_ text: String) -> String {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        return String(hash, radix: 16)
    }
}
