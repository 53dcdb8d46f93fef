import Foundation

/// The log of a run's folder, to which the run appends whole lines. What cannot be written ends the run: what the log
/// has stays, and the run goes on from there another time.
public final class RunLog: @unchecked Sendable {
    public let folder: RunFolder
    public let plan: RunPlan
    /// What there was when the log was opened.
    let past: PastRun
    private let descriptor: Int32
    // All that follows is used under the lock.
    private let lock = NSLock()
    /// Bytes of whole lines.
    private var length: UInt64
    /// Milliseconds, of the run, until the last line.
    private var elapsed: Int
    /// Cases that have no line of their own yet.
    private var uncounted: LogLine.Counts?
    private var lastCount = ContinuousClock.now
    private var lastSync = ContinuousClock.now
    private var failure: CorpusError?

    /// Cases that are counted together, and how long they may wait for it: a run that is killed does these again.
    private static let countEvery: UInt64 = 10_000
    private static let longestWait = Duration.seconds(30)
    /// How long lines may wait for the disk.
    private static let syncEvery = Duration.seconds(5)

    /// - Parameters:
    ///   - descriptor: of the log, open for appending and locked; closed with this object.
    ///   - length: its bytes.
    init(_ folder: RunFolder, _ plan: RunPlan, _ past: PastRun, descriptor: Int32, length: UInt64) {
        self.folder = folder
        self.plan = plan
        self.past = past
        self.descriptor = descriptor
        self.length = length
        elapsed = past.elapsed
    }

    deinit { close(descriptor) }

    /// Cases that were done when the log was opened.
    public var casesBefore: Int { past.tally.cases }

    /// Whether all that was planned was done then.
    public var wasComplete: Bool { past.isComplete }

    /// Why the log ends before the run does.
    public var problem: CorpusError? { lock.withLock { failure } }

    /// - Parameters:
    ///   - explained: of its failures by device, the numbers of the findings that explain them.
    ///   - duration: of the run so far.
    /// - Returns: false where it cannot be written: the case does not count.
    func append(_ record: CaseRecord, explained: [String: UInt64], after duration: Duration) -> Bool {
        lock.withLock {
            guard failure == nil else { return false }
            let now = max(elapsed, Int(duration / .milliseconds(1)))
            let number = record.index / plan.shardCount
            guard plan.log == .all || record.verdicts.contains(where: { $0.failure != nil }) else {
                var counts = uncounted ?? LogLine.Counts(from: number, to: number, tally: Tally(), elapsed: 0)
                counts.to = number + 1
                counts.tally.add(record)
                counts.elapsed += now - elapsed
                elapsed = now
                uncounted = counts
                let isDue = counts.to - counts.from >= Self.countEvery || .now - lastCount > Self.longestWait
                return isDue ? count() : true
            }
            var line = CaseLine(record, seed: plan.seed)
            line.elapsed = now - elapsed
            for index in line.verdicts.indices { line.verdicts[index].finding = explained[line.verdicts[index].device] }
            elapsed = now
            return write(.judged(line))
        }
    }

    /// What became of a finding.
    func note(_ line: LogLine) { lock.withLock { _ = write(line) } }

    /// Appends a line of another log.
    /// - Throws: `CorpusError`.
    func copy(_ data: Data) throws {
        try lock.withLock {
            do {
                try data.withUnsafeBytes(write)
                length += UInt64(data.count)
            } catch {
                throw CorpusError(path: folder.logPath, reason: "cannot be written: \(error)")
            }
        }
    }

    /// Writes what waits.
    /// - Parameter isComplete: whether all that was planned is done.
    func finish(isComplete: Bool) {
        lock.withLock {
            guard count() else { return }
            if isComplete, !past.isComplete { _ = write(.complete) }
            fsync(descriptor)
        }
    }

    private func count() -> Bool {
        lastCount = .now
        guard let counts = uncounted else { return failure == nil }
        uncounted = nil
        return write(.counted(counts))
    }

    /// A line is written whole or not at all.
    private func write(_ line: LogLine) -> Bool {
        guard failure == nil else { return false }
        do {
            let data = try JSONLine.encode(line)
            try data.withUnsafeBytes(write)
            length += UInt64(data.count)
        } catch {
            // No half a line stays. If it does, it is dropped when the run goes on.
            _ = ftruncate(descriptor, off_t(length))
            failure = CorpusError(path: folder.logPath, reason: "cannot be written: \(error)")
            return false
        }
        if case .judged = line, .now - lastSync < Self.syncEvery { return true }
        fsync(descriptor)
        lastSync = .now
        return true
    }

    private func write(_ bytes: UnsafeRawBufferPointer) throws {
        var done = 0
        while done < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
            let count = Foundation.write(descriptor, rest.baseAddress, rest.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw SystemError() }
            done += count
        }
    }
}

/// What the system says of the last call that failed.
struct SystemError: Error, CustomStringConvertible {
    var description = String(cString: strerror(errno))
}
