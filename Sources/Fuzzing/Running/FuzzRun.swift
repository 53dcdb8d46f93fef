import Engines
import Foundation

/// Draws cases, judges them on several threads, and keeps and shrinks what fails.
public struct FuzzRun: Sendable {
    public var plan: FuzzPlan
    public var extent: Extent
    /// Of several runs of one plan that share its cases, this is number `index`, from 0.
    public var shard: (index: UInt64, count: UInt64) = (0, 1)
    /// Cases that run side by side.
    public var jobs: Int
    /// Whether fewer do where fewer get more done, as on GPUs.
    public var measuresJobs = false
    /// Where failures are kept; nil: nowhere.
    public var corpus: Corpus?
    /// What corpus files say of where they come from.
    public var version: String
    public var fault: String?
    /// The most cases that shrinking one failure may judge.
    public var budget = 1000
    /// The longest that shrinking one failure may take, since hangs are slow to try; nil: as long as that takes.
    public var patience: Duration? = .seconds(300)
    /// The log of the run's folder: what it has is not done again. `plan`, `extent`, `shard` and `corpus` are to be
    /// those of the folder.
    public var log: RunLog?
    /// What failures are no news.
    public var known = KnownFindings()
    /// Told what each job does, at any time and from its own thread.
    public var watch: @Sendable (Activity) -> Void = { _ in }
    /// Makes the engines of one thread.
    public var engines: @Sendable () throws -> EngineSet

    public enum Extent: Hashable, Sendable {
        case cases(UInt64)
        case time(Duration)
    }

    public init(
        _ plan: FuzzPlan, _ extent: Extent, jobs: Int, version: String = "",
        engines: @escaping @Sendable () throws -> EngineSet
    ) {
        self.plan = plan
        self.extent = extent
        self.jobs = jobs
        self.version = version
        self.engines = engines
    }

    /// What happens in a run: the cases in their order, and findings beside them.
    public enum Event: Sendable {
        case judged(CaseRecord)
        /// A failure that no finding of this run explains; it is kept before it is cut down.
        case found(Finding)
        /// A failure more of one that there is.
        case met(Finding)
        /// Cutting down what case `index` showed has come this far. Where it turns out to be of the cause of another
        /// finding, that is the one.
        case shrunk(index: UInt64, Finding)
    }

    /// What a job has begun to do.
    public struct Activity: Sendable {
        /// From 0.
        public var job: Int
        public var work: Work

        public enum Work: Sendable {
            case judging(index: UInt64, architecture: String)
            /// What cutting down concerns.
            case shrinking(String)
            case nothing
        }
    }

    /// What a thread works with.
    private struct Job {
        let number: Int
        let judge: Judge
    }

    /// Runs the known findings of the plan's architectures again.
    /// - Returns: those that no longer fail as they did, and how they end now.
    public func changesOfKnown(
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws -> [(finding: KnownFindings.Finding, now: Verdict)] {
        let architectures = Set(plan.architectures.map { $0.name })
        let findings = known.findings.filter { architectures.contains($0.entry.case.architecture) }
        let changes = Box<[(finding: KnownFindings.Finding, now: Verdict)]>([])
        try Parallel.inOrder(jobs: min(jobs, findings.count), isMeasured: measuresJobs) { _ in
            Judge(try engines())
        } work: { number, judge -> [Verdict]? in
            guard findings.indices.contains(number), !isCancelled() else { return nil }
            return judge.judge(findings[number].entry.case).filter { verdict in
                guard plan.devices.contains(verdict.device), !verdict.isStopped else { return false }
                return !(verdict.failure.map(findings[number].isLike) ?? false)
            }
        } consume: { number, verdicts, _ in
            changes.value += verdicts.map { (findings[number], $0) }
            return []
        }
        return changes.value
    }

    /// - Parameters:
    ///   - isCancelled: asked before each case; once true, what has begun is finished and no more is begun. A case
    ///     whose engine is ended meanwhile (`EngineStop`) does not count. What is not cut down then is left to the run
    ///     that goes on with the folder.
    ///   - handle: told what happens, never twice at a time.
    /// - Throws: `EngineStartError`, and what `handle` throws.
    @discardableResult
    public func run(
        isCancelled: @escaping @Sendable () -> Bool = { false },
        _ handle: @escaping @Sendable (Event) throws -> Void = { _ in }
    ) throws -> FuzzReport {
        let start = ContinuousClock.now
        let past = log?.past
        let open = past?.openFailures ?? []
        let before = Duration.milliseconds(past?.elapsed ?? 0)
        let report = Box(FuzzReport(plan: plan, tally: past?.tally ?? Tally(), duration: before))
        let findings = past.map { Findings($0, corpus) } ?? Findings()
        let common = CommonFindings(known, plan)
        let working = try Parallel.inOrder(jobs: jobs, isMeasured: measuresJobs) {
            Job(number: $0, judge: Judge(try engines(), known: known))
        } work: { number, job -> Judged? in
            guard !isCancelled() else { return nil }
            if number < open.count {
                let drawn = try? plan.draw(open[number].place.index, avoiding: common).case
                return Judged(open[number], drawn: drawn)
            }
            let own = UInt64(number - open.count) + (past?.next ?? 0)
            let index = own * shard.count + shard.index
            switch extent {
            case .cases(let count) where index >= count: return nil
            case .time(let duration) where past?.isComplete ?? false || before + (.now - start) >= duration: return nil
            default:
                if past?.ahead.contains(own) ?? false { return Judged(loggedCase: index) }
                watch(.init(
                    job: job.number, work: .judging(index: index, architecture: plan.architecture(of: index).name)))
                let judged = self.judge(index, job.judge, findings, common)
                return judged.record.verdicts.contains(where: \.isStopped) ? nil : judged
            }
        } consume: { _, judged, job in
            if let open = judged.open {
                return [{ settle(open, of: judged, job, findings, handle, isCancelled) }]
            }
            guard !judged.isLogged else { return [] }
            var explained = judged.explained
            var unexplained: [Failure] = []
            for failure in judged.record.verdicts.compactMap(\.failure) {
                let device = failure.signature.device
                if let number = explained[device] {
                    findings.count(failure.signature, for: number)
                } else if let number = findings.countSame(as: failure.signature) {
                    explained[device] = number
                } else {
                    unexplained.append(failure)
                }
            }
            let met = explained.values.compactMap { findings[$0] }
            // Whole milliseconds, as the log has: asked again, a run that is done says the same.
            let duration = Duration.milliseconds(((before + (.now - start)) / .milliseconds(1)).rounded(.down))
            log?.append(judged.record, explained: explained, after: duration)
            report.value.tally.add(judged.record)
            report.value.duration = duration
            try handle(.judged(judged.record))
            for finding in met { try handle(.met(finding)) }
            return unexplained.map { failure in
                { add(failure, of: judged, job, findings, handle, isCancelled) }
            }
        } finally: { job, exclusively in
            defer { watch(.init(job: job.number, work: .nothing)) }
            while !isCancelled(), let (number, finding) = findings.takeUnfinished() {
                // What waited may be of a cause that has been found meanwhile.
                if finding.causes.isEmpty, let subject = finding.entry?.case,
                    let other = findings.explaining(
                        finding.failure, of: subject, index: 0, except: number, job.judge.withoutProof),
                    let dropped = findings.join(number, with: other)
                {
                    note(.joined(.init(number: number, with: other)), isCancelled)
                    removeFile(of: dropped)
                    continue
                }
                var shrunk = shrink(finding, budget, patience, job, isCancelled)
                shrunk.stage = .ended
                let kept = replace(number, by: shrunk, in: findings, isCancelled)
                try exclusively { try handle(.shrunk(index: finding.index, kept)) }
            }
        }
        for replacement in isCancelled() ? [] : findings.joinWidespread() {
            settle(replacement, in: findings, isCancelled)
            for dropped in replacement.dropped {
                try handle(.shrunk(index: dropped.finding.index, replacement.kept))
            }
        }
        if measuresJobs { report.value.measuredJobs = working }
        report.value.wasInterrupted = isCancelled()
        report.value.findings = findings.all.map { finding in
            var finding = finding
            keep(&finding)
            return finding
        }
        log?.finish(isComplete: !isCancelled())
        return report.value
    }

    /// Makes a failure a finding, which is cut down as far as there is time for while cases wait.
    /// - Returns: what is to be told of it.
    private func add(
        _ failure: Failure, of judged: Judged, _ job: Job, _ findings: Findings,
        _ handle: @escaping @Sendable (Event) throws -> Void, _ isCancelled: @escaping @Sendable () -> Bool
    ) -> () throws -> Void {
        let index = judged.record.index
        let engine = job.judge.engineVersion(of: failure.signature.device).flatMap { $0.isEmpty ? nil : $0 }
        let origin = CorpusEntry.Origin(seed: plan.seed, index: index, version: version, fault: fault, engine: engine)
        guard var subject = judged.case else {
            var finding = Finding(failure, nil, index: index, found: origin)
            finding.stage = .settled
            _ = findings.add(finding) { note(.finding($0), isCancelled) }
            return { [finding] in try handle(.found(finding)) }
        }
        subject.devices = [failure.signature.device]
        let simplest = job.judge.simplest(failure, of: subject)
        if simplest.case != subject, let number = findings.countSame(as: simplest.failure.signature) {
            let place = FailurePlace(index: index, device: failure.signature.device)
            let check = simplest.failure.signature.check
            note(.explained(.init(failure: place, finding: number, check: check)), isCancelled)
            return {}
        }
        var finding = Finding(
            simplest.failure, simplest.case, index: index, check: failure.signature.check, found: origin)
        finding.occurrences.add(failure.signature)
        keep(&finding)
        let number = findings.add(finding) { note(.finding($0), isCancelled) }
        let kept = shrinkMeanwhile(number, finding, job, findings, isCancelled)
        return { [finding] in
            try handle(.found(finding))
            if let kept { try handle(.shrunk(index: index, kept)) }
        }
    }

    /// Goes on with a failure that a run left.
    private func settle(
        _ open: PastRun.OpenFailure, of judged: Judged, _ job: Job, _ findings: Findings,
        _ handle: @escaping @Sendable (Event) throws -> Void, _ isCancelled: @escaping @Sendable () -> Bool
    ) -> () throws -> Void {
        guard let number = open.finding, let finding = findings[number] else {
            return add(open.failure, of: judged, job, findings, handle, isCancelled)
        }
        let kept = shrinkMeanwhile(number, finding, job, findings, isCancelled)
        return { if let kept { try handle(.shrunk(index: finding.index, kept)) } }
    }

    /// Cuts a finding down as far as there is time for while others wait.
    /// - Returns: what it is part of now; nil: there is no time.
    private func shrinkMeanwhile(
        _ number: UInt64, _ finding: Finding, _ job: Job, _ findings: Findings,
        _ isCancelled: @escaping @Sendable () -> Bool
    ) -> Finding? {
        guard findings.mayShrink(after: finding.index / shard.count + 1), findings.take(number) else {
            findings.settle(number)
            note(findings.state(of: number).map(LogLine.finding), isCancelled)
            return nil
        }
        let patience = min(patience ?? Self.patienceMeanwhile, Self.patienceMeanwhile)
        var shrunk = shrink(finding, min(budget, Self.budgetMeanwhile), patience, job, isCancelled)
        shrunk.stage = .settled
        findings.spend(shrunk.spent)
        return replace(number, by: shrunk, in: findings, isCancelled)
    }

    /// Writes to the run's log, if it has one. What was cut off is done again by the run that goes on.
    private func note(_ line: LogLine?, _ isCancelled: () -> Bool) {
        guard let line, let log, !isCancelled() else { return }
        log.note(line)
    }

    /// How far a case is cut down while others wait: enough to see what it needs.
    private static let budgetMeanwhile = 200
    private static let patienceMeanwhile = Duration.seconds(20)

    /// Cuts a finding's case down, and finds out what of it matters.
    private func shrink(
        _ found: Finding, _ budget: Int, _ patience: Duration?, _ job: Job,
        _ isCancelled: @escaping @Sendable () -> Bool
    ) -> Finding {
        var finding = found
        guard let entry = finding.entry else {
            finding.isUnfinished = false
            return finding
        }
        let judge = job.judge
        watch(.init(job: job.number, work: .shrinking(finding.title)))
        let deadline = patience.map { ContinuousClock.now + $0 }
        let isOver = { isCancelled() || deadline.map { .now > $0 } ?? false }
        // What is cut down without proof is proved in the end, or else cut down anew.
        for judging in [judge.withoutProof, judge] {
            let shrinker = CaseShrinker(plan.drawing(of: finding.index), judging, budget: budget)
            guard let shrunk = shrinker.shrink(entry.case, found.failure, isCancelled: isOver) else { continue }
            finding.take(shrunk)
            finding.take(CauseSearch(judge: judging, isCancelled: isOver).answer(shrunk.case, shrunk.failure))
            let isProved = judge.judge(finding.entry?.case ?? shrunk.case).contains { $0.failure != nil }
            if isProved || isOver() || shrunk.isFlaky { return finding }
            finding = found
        }
        finding.isLost = !isOver()
        finding.isUnfinished = isOver()
        return finding
    }

    /// Keeps what cutting a finding down came to, and no file of what is a part of another.
    /// - Returns: the finding that it is part of now.
    private func replace(
        _ number: UInt64, by finding: Finding, in findings: Findings, _ isCancelled: () -> Bool
    ) -> Finding {
        // The run that goes on begins with what the log has.
        if log != nil, isCancelled(), let before = findings[number] { return before }
        var finding = finding
        let old = finding
        keep(&finding)
        let replacement = findings.replace(number, by: finding)
        if old.path != replacement.kept.path { removeFile(of: old) }
        settle(replacement, in: findings, isCancelled)
        return replacement.kept
    }

    /// Keeps no file of what is a part of another finding now, and has the log say so.
    private func settle(
        _ replacement: Findings.Replacement, in findings: Findings, _ isCancelled: () -> Bool
    ) {
        for dropped in replacement.dropped where dropped.finding.path != replacement.kept.path {
            removeFile(of: dropped.finding)
        }
        note(findings.state(of: replacement.number).map(LogLine.finding), isCancelled)
        for dropped in replacement.dropped {
            note(.joined(.init(number: dropped.number, with: replacement.number)), isCancelled)
        }
    }

    struct Judged: Sendable {
        var record: CaseRecord
        var `case`: Case?
        /// Of failures by device: the findings that explain them.
        var explained: [String: UInt64] = [:]
        /// Whether the log has it, so that it does not count again.
        var isLogged = false
        /// The failure for which a case of the log is drawn again.
        var open: PastRun.OpenFailure?

        init(record: CaseRecord, case: Case? = nil, explained: [String: UInt64] = [:]) {
            self.record = record
            self.case = `case`
            self.explained = explained
        }

        init(loggedCase index: UInt64) {
            record = CaseRecord(index: index, architecture: "")
            isLogged = true
        }

        init(_ open: PastRun.OpenFailure, drawn: Case?) {
            self.init(loggedCase: open.place.index)
            self.case = drawn
            self.open = open
        }
    }

    private func judge(
        _ index: UInt64, _ judge: Judge, _ findings: Findings, _ common: CommonFindings
    ) -> Judged {
        let start = ContinuousClock.now
        let architecture = plan.architecture(of: index).name
        var record = CaseRecord(index: index, architecture: architecture)
        do {
            let subject = try plan.draw(index, avoiding: common).case
            record.check = subject.check
            let loaded = LoadedCase(subject)
            record.layers = subject.layers
            record.tokens = subject.tokens
            record.features = subject.features(of: (try? loaded.source().tensors) ?? [])
            var explained: [String: UInt64] = [:]
            let quick = judge.withoutProof
            record.verdicts = quick.judge(loaded).map { verdict in
                guard let failure = verdict.failure, Happening(kind: failure.signature.kind) != .message,
                    !findings.has(failure.signature)
                else {
                    return verdict
                }
                var own = subject
                own.devices = [verdict.device]
                if let number = findings.explaining(failure, of: own, index: index, quick) {
                    explained[verdict.device] = number
                    return verdict
                }
                // What waits is proved once it is cut down.
                guard findings.mayShrink(after: index / shard.count) else { return verdict }
                return judge.judge(own).first ?? verdict
            }
            record.duration = .now - start
            return Judged(record: record, case: subject, explained: explained)
        } catch {
            let signature = Signature(
                check: .agrees, device: EngineSet.reference, architecture: architecture, stage: "draw", kind: "error")
            record.verdicts = [
                Verdict(device: EngineSet.reference, outcome: .failed(Failure(signature: signature, seen: "\(error)")))
            ]
            record.duration = .now - start
            return Judged(record: record)
        }
    }

    /// A corpus that cannot be written costs the file, not the run: the finding says so, and holds what the file would.
    private func keep(_ finding: inout Finding) {
        finding.entry?.occurrences = finding.occurrences
        guard let corpus, let entry = finding.entry else { return }
        let (path, name) = (corpus.path(of: entry), Corpus.name(of: entry))
        if path != finding.path {
            finding.ownsFile = !FileManager.default.fileExists(atPath: path) || log?.hasAnnounced(file: name) ?? false
        }
        if finding.ownsFile { log?.announce(file: name) }
        do {
            finding.path = try corpus.keep(entry)
            finding.problem = nil
        } catch {
            finding.problem = "\(error)"
        }
    }

    /// What was there before the run stays.
    private func removeFile(of finding: Finding) {
        if finding.ownsFile, let path = finding.path { corpus?.remove(path) }
    }

    private final class Box<Value>: @unchecked Sendable {
        // Used by one thread at a time: `consume` and what ends its follow-ups are never called twice at once.
        var value: Value
        init(_ value: Value) { self.value = value }
    }
}
