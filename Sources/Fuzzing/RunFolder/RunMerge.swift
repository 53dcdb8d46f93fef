import Foundation

/// Makes one folder of those of several shards of a run: their logs become one, in the order of the cases, findings of
/// one cause are joined, and the smallest case of each is kept.
public struct RunMerge: Sendable {
    private let folders: [RunFolder]
    private let plan: RunPlan

    /// - Parameter folders: of different shards of one run; some of them may be merged already, some not yet done.
    /// - Throws: `CorpusError` where one is no folder of a run, or of another run or engine, or where a shard is there
    ///   twice.
    public init(_ folders: [RunFolder]) throws {
        self.folders = folders
        guard let first = folders.first else { throw CorpusError(path: "merge", reason: "there is no folder") }
        var plan = try first.plan()
        for folder in folders.dropFirst() {
            let other = try folder.plan()
            if let difference = other.difference(from: plan, ignoringShards: true) {
                throw CorpusError(path: folder.path, reason: "is of another run than \(first.path): \(difference)")
            }
            if let shard = other.shards.first(where: plan.shards.contains) {
                throw CorpusError(path: folder.path, reason: "is of shard \(shard), which is there already")
            }
            plan.shards += other.shards
            plan.probes += other.probes.filter { !plan.probes.contains($0) }
            plan.machines += other.machines.filter { !plan.machines.contains($0) }
            if other.log == .failures { plan.log = .failures }
        }
        plan.shards.sort()
        self.plan = plan
    }

    /// Merging was interrupted, and nothing is left of it.
    public struct Interrupted: Error {}

    /// Writes the folder, which appears as a whole or not at all.
    /// - Parameters:
    ///   - folder: that is not there yet.
    ///   - isCancelled: asked before each line.
    /// - Returns: what the run came to.
    /// - Throws: `CorpusError` where there is one already, for a line of a log that is none, or what cannot be written;
    ///   `Interrupted`.
    @discardableResult
    public func write(to folder: RunFolder, isCancelled: () -> Bool = { false }) throws -> RunSummary {
        guard !FileManager.default.fileExists(atPath: folder.path) else {
            throw CorpusError(path: folder.path, reason: "is there already")
        }
        let url = URL(fileURLWithPath: folder.path)
        let parent = url.deletingLastPathComponent().path
        let name = Self.prefix + url.lastPathComponent
        let partial = RunFolder("\(parent)/\(name)")
        Self.removeAbandoned(in: parent, named: name)
        let log: RunLog
        do {
            log = try partial.open(plan)
        } catch let error as CorpusError {
            Self.removeAbandoned(in: parent, named: name)
            throw CorpusError(path: folder.path, reason: error.reason)
        }
        defer { try? FileManager.default.removeItem(atPath: partial.path) }
        var past = PastRun(plan)
        try mergeLogs { line, data in
            if isCancelled() { throw Interrupted() }
            try past.take(line)
            try log.copy(data)
        }
        for line in joining(past) {
            try past.take(line)
            try log.copy(JSONLine.encode(line))
        }
        for (number, finding) in past.findings {
            guard var entry = finding.entry else { continue }
            entry.occurrences = past.sightings[number].map(Finding.Occurrences.init)
            try partial.corpus.keep(entry)
        }
        log.finish(isComplete: false)
        if let problem = log.problem { throw problem }
        guard rename(partial.path, url.path) == 0 else {
            throw CorpusError(path: folder.path, reason: "cannot be written: \(SystemError())")
        }
        return RunSummary(plan, past, in: folder)
    }

    /// What a folder is called until it is complete begins with this.
    private static let prefix = ".gguf-fuzz-merge-"

    /// Removes what others left that were killed: what nobody holds the log of any more.
    /// - Parameter own: what this one is to be called. Of others that have no log yet, somebody is about to begin it.
    private static func removeAbandoned(in folder: String, named own: String) {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        for name in names where name.hasPrefix(prefix) {
            let path = "\(folder)/\(name)"
            let descriptor = open(RunFolder(path).logPath, O_RDONLY | O_CLOEXEC)
            defer { if descriptor >= 0 { close(descriptor) } }
            let isLeft = descriptor < 0 ? name == own : flock(descriptor, LOCK_EX | LOCK_NB) == 0
            if isLeft { try? FileManager.default.removeItem(atPath: path) }
        }
    }

    // MARK: Logs

    /// A log that is being read.
    private struct Source {
        var path: String
        var lines: LogLines
        /// The next line.
        var line: (line: LogLine, data: Data)?
        /// The last case.
        var index: UInt64 = 0
        /// What its findings are called in the merged log.
        var numbers: [UInt64: UInt64] = [:]

        /// - Throws: `CorpusError`.
        init(_ folder: RunFolder) throws {
            path = folder.logPath
            lines = try LogLines(path)
            try advance()
        }

        mutating func advance() throws {
            line = try lines.next()
            if case .judged(let judged)? = line?.line { index = judged.index }
        }
    }

    /// Hands over the lines of all logs: of cases by their index, the others after the case that they follow.
    private func mergeLogs(_ body: (LogLine, Data) throws -> Void) throws {
        var sources = try folders.filter { FileManager.default.fileExists(atPath: $0.logPath) }.map { try Source($0) }
        var count: UInt64 = 0
        func first() -> Int? {
            sources.indices.filter { sources[$0].line != nil }.min { sources[$0].index < sources[$1].index }
        }
        while let first = first(), let (line, data) = sources[first].line {
            let renamed = line.renamed { number in
                if let known = sources[first].numbers[number] { return known }
                sources[first].numbers[number] = count
                count += 1
                return count - 1
            }
            do {
                try body(renamed ?? line, renamed.map { try JSONLine.encode($0) } ?? data)
            } catch let error as PastRun.Contradiction {
                throw sources[first].lines.foreign(error.reason)
            }
            try sources[first].advance()
        }
    }

    // MARK: Findings

    /// What joins findings of one cause that several logs have: they become part of the one with the smallest case.
    private func joining(_ past: PastRun) -> [LogLine] {
        var kept: [(number: UInt64, finding: Finding)] = []
        var lines: [LogLine] = []
        for (number, found) in past.findings.sorted(by: { ($0.value.index, $0.key) < ($1.value.index, $1.key) }) {
            var finding = found
            finding.occurrences = past.sightings[number].map(Finding.Occurrences.init) ?? .init()
            guard let place = kept.firstIndex(where: { $0.finding.isOne(with: finding) }) else {
                kept.append((number, finding))
                continue
            }
            var (own, other) = (kept[place], (number: number, finding: finding))
            if let entry = finding.entry, own.finding.entry.map(entry.isSimpler) ?? true { swap(&own, &other) }
            own.finding.absorb(other.finding)
            kept[place] = own
            lines.append(.joined(.init(number: other.number, with: own.number)))
        }
        let states = kept.map { number, finding in
            LogLine.finding(FindingState(number: number, finding, spent: past.spent))
        }
        return lines + states
    }
}

extension Finding {
    /// Whether two that different runs found are of one cause.
    fileprivate func isOne(with other: Finding) -> Bool {
        if includes(other) || other.includes(self) { return true }
        guard let entry, let own = other.entry else { return false }
        return Corpus.name(of: entry) == Corpus.name(of: own)
    }
}

extension LogLine {
    /// The same with other numbers of findings; nil: there are none.
    fileprivate func renamed(_ number: (UInt64) -> UInt64) -> LogLine? {
        switch self {
        case .judged(var line):
            guard line.verdicts.contains(where: { $0.finding != nil }) else { return nil }
            for index in line.verdicts.indices {
                line.verdicts[index].finding = line.verdicts[index].finding.map(number)
            }
            return .judged(line)
        case .finding(var state):
            state.number = number(state.number)
            return .finding(state)
        case .joined(let joined): return .joined(.init(number: number(joined.number), with: number(joined.with)))
        case .explained(var explained):
            explained.finding = number(explained.finding)
            return .explained(explained)
        case .counted, .file, .steering, .complete: return nil
        }
    }
}
