import Foundation

/// The log of a run's folder, to which the run appends whole lines.
///
/// What cannot be written waits while the run goes on, and is tried again now and then: failures and what becomes of
/// them as lines, cases that did not fail counted. If the run ends before there is room, or too much waits, it goes on
/// from what the log has another time.
public final class RunLog: @unchecked Sendable {
    public let folder: RunFolder
    public let plan: RunPlan
    /// Told, by whatever thread writes, why nothing can be written any more, and nil once it can again. Set it before
    /// the run begins.
    public var tell: @Sendable (CorpusError?) -> Void = { _ in }
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
    /// The files that the run has said it makes.
    private var files: Set<String>
    /// Lines that could not be written yet.
    private var waiting: [Data] = []
    private var waitingBytes = 0
    /// Why they could not, and when that was tried last.
    private var failure: CorpusError?
    private var lastTry = ContinuousClock.now
    /// Whether too much waited: what comes later would not follow from what the log has.
    private var isGivenUp = false

    /// Cases that are counted together, and how long they may wait for it: a run that is killed does these again.
    private static let countEvery: UInt64 = 10_000
    private static let longestWait = Duration.seconds(30)
    /// How long lines may wait for the disk.
    private static let syncEvery = Duration.seconds(5)
    /// How long it takes until what could not be written is tried again, and how many bytes of it are kept.
    private static let tryEvery = Duration.seconds(5)
    private static let mostWaiting = 64 << 20

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
        files = past.files
    }

    deinit { Self.release(descriptor) }

    /// Closes a log, and lets others have it at once: a child that is just being started has the file too, until it runs.
    static func release(_ descriptor: Int32) {
        _ = flock(descriptor, LOCK_UN)
        close(descriptor)
    }

    /// Cases that were done when the log was opened.
    public var casesBefore: Int { past.tally.cases }

    /// How long these took.
    public var durationBefore: Duration { .milliseconds(past.elapsed) }

    /// Whether all that was planned was done then.
    public var wasComplete: Bool { past.isComplete }

    /// Why the log does not have all that there is; nil: it has.
    public var problem: CorpusError? { lock.withLock { failure } }

    /// - Parameters:
    ///   - explained: of its failures by device, the numbers of the findings that explain them.
    ///   - duration: of the run so far, in whole milliseconds.
    func append(_ record: CaseRecord, explained: [String: UInt64], after duration: Duration) {
        lock.withLock {
            let now = max(elapsed, Int((duration / .milliseconds(1)).rounded()))
            defer { elapsed = now }
            let hasFailed = record.verdicts.contains { $0.failure != nil }
            guard plan.log == .failures || failure != nil, !hasFailed else {
                var line = CaseLine(record, seed: plan.seed)
                line.elapsed = now - elapsed
                for index in line.verdicts.indices {
                    line.verdicts[index].finding = explained[line.verdicts[index].device]
                }
                return write(.judged(line))
            }
            let number = record.index / plan.shardCount
            var counts = uncounted ?? LogLine.Counts(from: number, to: number, tally: Tally(), elapsed: 0)
            counts.to = number + 1
            counts.tally.add(record)
            counts.elapsed += now - elapsed
            uncounted = counts
            if failure != nil {
                retry()
            } else if counts.to - counts.from >= Self.countEvery || .now - lastCount > Self.longestWait {
                count()
            }
        }
    }

    /// What became of a finding.
    func note(_ line: LogLine) { lock.withLock { write(line) } }

    /// What steering has brought, of a run that is over.
    public func note(_ gain: SteeringGain) { if past.steering == nil { note(.steering(gain)) } }

    /// Whether the run has made a file of this name in its corpus.
    func hasAnnounced(file name: String) -> Bool { lock.withLock { files.contains(name) } }

    /// Says that a file is the run's, before it is there.
    func announce(file name: String) {
        lock.withLock { if files.insert(name).inserted { write(.file(name)) } }
    }

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
            retry(isDue: true)
            if failure == nil { count() }
            if isComplete, !past.isComplete, failure == nil { write(.complete) }
            fsync(descriptor)
        }
    }

    private func count() {
        lastCount = .now
        guard let counts = uncounted else { return }
        uncounted = nil
        write(.counted(counts))
    }

    private func write(_ line: LogLine) {
        guard !isGivenUp else { return }
        do {
            let data = try JSONLine.encode(line)
            waiting.append(data)
            waitingBytes += data.count
        } catch {
            return giveUp(CorpusError(path: folder.logPath, reason: "cannot be written: \(error)"))
        }
        retry(isDue: failure == nil)
        guard failure == nil else { return }
        if case .judged = line, .now - lastSync < Self.syncEvery { return }
        fsync(descriptor)
        lastSync = .now
    }

    /// Writes what waits, each line whole or not at all.
    private func retry(isDue: Bool = false) {
        guard !isGivenUp, isDue || .now - lastTry > Self.tryEvery else { return }
        lastTry = .now
        var done = 0
        do {
            for data in waiting {
                try data.withUnsafeBytes(write)
                length += UInt64(data.count)
                waitingBytes -= data.count
                done += 1
            }
        } catch {
            // No half a line stays. If it does, it is dropped when the run goes on.
            _ = ftruncate(descriptor, off_t(length))
            waiting.removeFirst(done)
            let problem = CorpusError(path: folder.logPath, reason: "cannot be written: \(error)")
            if waitingBytes > Self.mostWaiting { return giveUp(problem) }
            if failure == nil { tell(problem) }
            failure = problem
            return
        }
        waiting = []
        guard failure != nil else { return }
        failure = nil
        tell(nil)
        if plan.log == .all { count() }
    }

    private func giveUp(_ problem: CorpusError) {
        if failure == nil { tell(problem) }
        (failure, isGivenUp, waiting, uncounted) = (problem, true, [], nil)
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
