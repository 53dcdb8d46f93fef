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
    /// What failures are no news.
    public var known = KnownFindings()
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
        /// Cutting it down begins.
        case shrinking(Finding)
        /// Cutting down what case `index` showed has come this far. Where it turns out to be of the cause of another
        /// finding, that is the one.
        case shrunk(index: UInt64, Finding)
    }

    /// Runs the known findings again.
    /// - Returns: those that no longer fail as they did, and how they end now.
    public func changesOfKnown(isCancelled: () -> Bool = { false }) throws -> [(finding: KnownFindings.Finding, now: Verdict)] {
        let judge = Judge(try engines())
        return known.findings.flatMap { finding -> [(finding: KnownFindings.Finding, now: Verdict)] in
            guard !isCancelled() else { return [] }
            return judge.judge(finding.entry.case).filter { verdict in
                guard plan.devices.contains(verdict.device), !verdict.isStopped else { return false }
                return !(verdict.failure.map(finding.isLike) ?? false)
            }.map { (finding, $0) }
        }
    }

    /// - Parameters:
    ///   - isCancelled: asked before each case; once true, what has begun is finished and no more is begun. A case whose
    ///     engine is ended meanwhile (`EngineStop`) does not count.
    ///   - handle: told what happens, never twice at a time.
    /// - Throws: `EngineStartError`, and what `handle` throws.
    @discardableResult
    public func run(
        isCancelled: @escaping @Sendable () -> Bool = { false },
        _ handle: @escaping @Sendable (Event) throws -> Void = { _ in }
    ) throws -> FuzzReport {
        let start = ContinuousClock.now
        let report = ReportBox(FuzzReport(plan: plan))
        let findings = Findings()
        let common = CommonFindings(known, plan)
        let working = try Parallel.inOrder(jobs: jobs, isMeasured: measuresJobs) {
            Judge(try engines(), known: known)
        } work: { number, judge -> Judged? in
            let index = UInt64(number) * shard.count + shard.index
            switch extent {
            case .cases(let count) where index >= count: return nil
            case .time(let duration) where .now - start >= duration: return nil
            default:
                guard !isCancelled() else { return nil }
                let judged = self.judge(index, judge, findings, common)
                return judged.record.verdicts.contains(where: \.isStopped) ? nil : judged
            }
        } consume: { _, judged, judge in
            report.value.add(judged.record)
            report.value.duration = .now - start
            try handle(.judged(judged.record))
            let cases = UInt64(report.value.cases)
            return judged.record.verdicts.compactMap { verdict -> Parallel.FollowUp? in
                guard let failure = verdict.failure else { return nil }
                if let number = judged.explained[verdict.device] {
                    findings.count(failure.signature, for: number)
                    return nil
                }
                if findings.countSame(as: failure.signature) { return nil }
                return { add(failure, of: judged, judge, findings, after: cases, handle, isCancelled) }
            }
        } finally: { judge, exclusively in
            while !isCancelled(), let (number, finding) = findings.takeUnfinished() {
                // What waited may be of a cause that has been found meanwhile.
                if finding.causes.isEmpty, let subject = finding.entry?.case,
                    let other = findings.explaining(
                        finding.failure, of: subject, index: 0, except: number, judge.withoutProof),
                    let dropped = findings.join(number, with: other)
                {
                    dropped.path.map { corpus?.remove($0) }
                    continue
                }
                try exclusively { try handle(.shrinking(finding)) }
                let kept = replace(
                    number, by: shrink(finding, budget, patience, judge, isCancelled), in: findings)
                try exclusively { try handle(.shrunk(index: finding.index, kept)) }
            }
        }
        if measuresJobs { report.value.measuredJobs = working }
        report.value.wasInterrupted = isCancelled()
        report.value.findings = findings.all.map { finding in
            var finding = finding
            keep(&finding)
            return finding
        }
        return report.value
    }

    /// Makes a failure a finding, which is cut down as far as there is time for while cases wait.
    /// - Returns: what is to be told of it.
    private func add(
        _ failure: Failure, of judged: Judged, _ judge: Judge, _ findings: Findings, after cases: UInt64,
        _ handle: @escaping @Sendable (Event) throws -> Void, _ isCancelled: @escaping @Sendable () -> Bool
    ) -> () throws -> Void {
        let index = judged.record.index
        let engine = judge.engineVersion(of: failure.signature.device).flatMap { $0.isEmpty ? nil : $0 }
        let origin = CorpusEntry.Origin(seed: plan.seed, index: index, version: version, fault: fault, engine: engine)
        guard var subject = judged.case else {
            let finding = Finding(failure, nil, index: index, found: origin)
            _ = findings.add(finding)
            return { try handle(.found(finding)) }
        }
        subject.devices = [failure.signature.device]
        let simplest = judge.simplest(failure, of: subject)
        if simplest.case != subject, findings.countSame(as: simplest.failure.signature) { return {} }
        var finding = Finding(simplest.failure, simplest.case, index: index, found: origin)
        finding.occurrences.add(failure.signature)
        keep(&finding)
        let number = findings.add(finding)
        guard findings.mayShrink(after: cases), findings.take(number) else { return { [finding] in try handle(.found(finding)) } }
        let patience = min(patience ?? Self.patienceMeanwhile, Self.patienceMeanwhile)
        let shrunk = shrink(finding, Self.budgetMeanwhile, patience, judge, isCancelled)
        findings.spend(shrunk.spent)
        let kept = replace(number, by: shrunk, in: findings)
        return { [finding] in
            try handle(.found(finding))
            try handle(.shrunk(index: index, kept))
        }
    }

    /// How far a case is cut down while others wait: enough to see what it needs.
    private static let budgetMeanwhile = 200
    private static let patienceMeanwhile = Duration.seconds(20)

    /// Cuts a finding's case down, and finds out what of it matters.
    private func shrink(
        _ found: Finding, _ budget: Int, _ patience: Duration?, _ judge: Judge,
        _ isCancelled: @escaping @Sendable () -> Bool
    ) -> Finding {
        var finding = found
        guard let entry = finding.entry else {
            finding.isUnfinished = false
            return finding
        }
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
    private func replace(_ number: UInt64, by finding: Finding, in findings: Findings) -> Finding {
        var finding = finding
        let old = finding.path
        keep(&finding)
        let (kept, dropped) = findings.replace(number, by: finding)
        for path in [old == kept.path ? nil : old, dropped?.path].compactMap({ $0 }) where path != kept.path {
            corpus?.remove(path)
        }
        return kept
    }

    struct Judged: Sendable {
        var record: CaseRecord
        var `case`: Case?
        /// Of failures by device: the findings that explain them.
        var explained: [String: UInt64] = [:]
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
        do {
            finding.path = try corpus.keep(entry)
            finding.problem = nil
        } catch {
            finding.problem = "\(error)"
        }
    }

    private final class ReportBox: @unchecked Sendable {
        // Used by one thread at a time: `consume` and what ends its follow-ups are never called twice at once.
        var value: FuzzReport
        init(_ value: FuzzReport) { self.value = value }
    }
}
