import Engines
import Foundation
import PropertyTesting

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

    /// What happens in a run; in the order of the cases, but that shrinking goes on beside them.
    public enum Event: Sendable {
        case judged(CaseRecord)
        /// A failure of a signature that has not been seen in this run; it is kept before it is shrunk.
        case found(Finding)
        /// Shrinking it has come this far.
        case shrunk(Finding)
    }

    /// Runs the known findings again.
    /// - Returns: those that no longer fail as they did, and how they end now.
    public func changesOfKnown(isCancelled: () -> Bool = { false }) throws -> [(finding: KnownFindings.Finding, now: Verdict)] {
        let judge = Judge(try engines())
        return known.findings.flatMap { finding -> [(finding: KnownFindings.Finding, now: Verdict)] in
            guard !isCancelled() else { return [] }
            return judge.judge(finding.entry.case).filter { verdict in
                guard plan.devices.contains(verdict.device) else { return false }
                return !(verdict.failure.map(finding.isLike) ?? false)
            }.map { (finding, $0) }
        }
    }

    /// - Parameters:
    ///   - isCancelled: asked before each case; once true, what has begun is finished and no more is begun.
    ///   - handle: told what happens, never twice at a time.
    /// - Throws: `EngineStartError`, and what `handle` throws.
    @discardableResult
    public func run(
        isCancelled: @escaping @Sendable () -> Bool = { false },
        _ handle: @escaping @Sendable (Event) throws -> Void = { _ in }
    ) throws -> FuzzReport {
        let start = ContinuousClock.now
        let report = ReportBox(FuzzReport(plan: plan))
        let common = try commonFindings()
        let working = try Parallel.inOrder(jobs: jobs, isMeasured: measuresJobs) {
            Judge(try engines(), known: known)
        } work: { number, judge -> Judged? in
            let index = UInt64(number) * shard.count + shard.index
            switch extent {
            case .cases(let count) where index >= count: return nil
            case .time(let duration) where .now - start >= duration: return nil
            default: return isCancelled() ? nil : self.judge(index, judge, common)
            }
        } consume: { _, judged, judge in
            report.value.add(judged.record)
            try handle(.judged(judged.record))
            return try judged.record.verdicts.compactMap(\.failure).compactMap { failure -> Parallel.FollowUp? in
                guard report.value.isNew(failure.signature) else {
                    report.value.count(failure.signature)
                    return nil
                }
                var finding = Finding(judged, failure, self, engine: judge.engineVersion(of: failure.signature.device))
                keep(&finding)
                report.value.add(finding)
                try handle(.found(finding))
                return { [finding] in
                    let shrunk = shrink(finding, judged, judge, isCancelled)
                    return {
                        report.value.replace(shrunk)
                        try handle(.shrunk(shrunk))
                    }
                }
            }
        }
        if measuresJobs { report.value.measuredJobs = working }
        report.value.duration = .now - start
        report.value.wasInterrupted = isCancelled()
        return report.value
    }

    private func shrink(
        _ found: Finding, _ judged: Judged, _ judge: Judge, _ isCancelled: @escaping @Sendable () -> Bool
    ) -> Finding {
        var finding = found
        guard let recording = judged.recording else { return finding }
        let deadline = patience.map { ContinuousClock.now + $0 }
        let isOver = { isCancelled() || deadline.map { .now > $0 } ?? false }
        let shrinker = CaseShrinker(plan.drawing(of: judged.record.index), judge, budget: budget)
        if let shrunk = shrinker.shrink(recording, finding.failure, isCancelled: isOver) {
            finding.take(shrunk)
            keep(&finding)
        } else {
            finding.isLost = !isOver()
        }
        return finding
    }

    struct Judged: Sendable {
        var record: CaseRecord
        var `case`: Case?
        var recording: Choices.Recording?
    }

    /// Of each architecture the known findings that cover more than a fifth of its cases, of which some are drawn to see.
    private func commonFindings() throws -> [String: [KnownFindings.Finding]] {
        guard !known.findings.isEmpty else { return [:] }
        var common: [String: [KnownFindings.Finding]] = [:]
        for (number, architecture) in plan.architectures.enumerated() {
            let cases = try (0..<40).map { try plan.draw(UInt64(number + $0 * plan.architectures.count)).case }
            common[architecture.name] = known.common(among: cases, on: plan.devices)
        }
        return common
    }

    private func judge(
        _ index: UInt64, _ judge: Judge, _ common: [String: [KnownFindings.Finding]]
    ) -> Judged {
        let start = ContinuousClock.now
        let architecture = plan.architecture(of: index).name
        var record = CaseRecord(index: index, architecture: architecture)
        do {
            let (subject, recording) = try plan.draw(index, avoiding: common[architecture] ?? [])
            record.check = subject.check
            let loaded = LoadedCase(subject)
            record.layers = subject.layers
            record.tokens = subject.tokens
            record.verdicts = judge.judge(loaded)
            record.features = subject.features(of: (try? loaded.source().tensors) ?? [])
            record.duration = .now - start
            return Judged(record: record, case: subject, recording: recording)
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

/// A failure of a run, and what became of it.
public struct Finding: Sendable {
    public var failure: Failure
    public var index: UInt64
    /// What its corpus file holds; nil where not even a case could be drawn.
    public var entry: CorpusEntry?
    /// The corpus file.
    public var path: String?
    /// Why there is no corpus file.
    public var problem: String?
    /// Cases with this signature in the run.
    public var count = 1
    /// The same case sometimes passes.
    public var isFlaky = false
    /// It did not fail again.
    public var isLost = false

    init(_ judged: FuzzRun.Judged, _ failure: Failure, _ run: FuzzRun, engine: String?) {
        self.failure = failure
        index = judged.record.index
        entry = judged.case.map { subject in
            var subject = subject
            subject.devices = [failure.signature.device]
            return CorpusEntry(
                case: subject, signature: failure.signature, seen: failure.seen,
                found: .init(
                    seed: run.plan.seed, index: judged.record.index, version: run.version, fault: run.fault,
                    engine: engine.flatMap { $0.isEmpty ? nil : $0 }))
        }
    }

    mutating func take(_ shrunk: ShrunkCase) {
        failure = shrunk.failure
        isFlaky = shrunk.isFlaky
        entry?.case = shrunk.case
        entry?.seen = shrunk.failure.seen
        entry?.found.evaluations = shrunk.evaluations
    }
}
