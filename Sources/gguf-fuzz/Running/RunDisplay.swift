import Foundation
import Fuzzing

/// How far a run has come. On a terminal: a line of numbers, the findings, and what each job does, drawn over again
/// and again below what happened, which stays. Elsewhere the line of numbers, now and then.
final class RunDisplay: @unchecked Sendable {
    private let lock = NSLock()
    private var progress: ProgressLine?
    private let start = ContinuousClock.now
    private let extent: FuzzRun.Extent
    private let shard: Shard
    /// Those that sessions before this one did, and how long these took.
    private let before: (cases: Int, duration: Duration)
    private var cases: Int
    private var failures = 0
    private var (known, discards) = (0, 0)
    /// The findings that were last heard of, in the order in which they were met.
    private var findings: [(index: UInt64, title: String, failures: Int)] = []
    /// What each job does, and since when.
    private var jobs: [(work: FuzzRun.Activity.Work, since: ContinuousClock.Instant)]

    /// - Parameter before: what the log of the run's folder had.
    init(
        _ extent: FuzzRun.Extent, shard: Shard, jobs: Int, before: (cases: Int, duration: Duration) = (0, .zero)
    ) {
        self.extent = extent
        self.shard = shard
        self.before = before
        cases = before.cases
        self.jobs = Array(repeating: (.nothing, start), count: jobs)
        progress = ProgressLine { [weak self] in self?.lines ?? [] }
    }

    func show(_ event: FuzzRun.Event) {
        lock.withLock {
            switch event {
            case .judged(let record):
                cases += 1
                for verdict in record.verdicts {
                    switch verdict.outcome {
                    case .passed: break
                    case .failed: failures += 1
                    case .known: known += 1
                    case .discarded: discards += 1
                    }
                }
            case .found(let finding):
                hear(of: finding)
                Terminal.note("failed: \(finding.failure.signature), case \(finding.index)", .alarming)
            case .met(let finding): hear(of: finding)
            case .shrunk(let index, let finding):
                // What is of the cause of another has been said.
                if finding.index == index {
                    Terminal.note("case \(index): \(finding.title)", .strong)
                } else {
                    findings.removeAll { $0.index == index }
                }
                hear(of: finding)
            }
        }
    }

    func show(_ activity: FuzzRun.Activity) {
        lock.withLock { jobs[activity.job] = (activity.work, .now) }
    }

    /// Nothing is drawn from now on.
    func end() { progress?.end() }

    private func hear(of finding: Finding) {
        let news = (finding.index, finding.title, finding.occurrences.cases)
        if let known = findings.firstIndex(where: { $0.index == finding.index }) {
            findings[known] = news
        } else {
            findings.append(news)
        }
    }

    // MARK: Lines

    /// As many as a person takes in at a glance.
    private static let most = (findings: 6, jobs: 8)

    private var lines: [[Terminal.Span]] { lock.withLock { [numbers] + findingLines + jobLines } }

    private var numbers: [Terminal.Span] {
        let elapsed = ContinuousClock.now - start
        let rate = Double(cases - before.cases) / max(elapsed.seconds, 1e-9)
        var (part, left, goal): (Double?, Double?, String) = (nil, nil, "")
        switch extent {
        case .cases(let count):
            let own = (count + shard.count - shard.number) / shard.count
            goal = " of \(Format.count(Int(own)))"
            part = Double(cases) / Double(max(1, own))
            left = cases > before.cases ? Double(max(0, Int(own) - cases)) / rate : nil
        case .time(let duration):
            part = (before.duration + elapsed).seconds / max(duration.seconds, 1e-9)
            left = (duration - before.duration - elapsed).seconds
        }
        let share = part.map { String(format: "%.0f %%, ", min(1, $0) * 100) } ?? ""
        let rest = left.map { $0 > 0 ? ", \(Format.span($0)) left" : ", ending" } ?? ""
        return [
            Terminal.Span("\(share)\(Format.count(cases))\(goal) cases", .strong),
            Terminal.Span(
                ", \(Format.rate(rate)) cases/s, \(Format.span(elapsed.seconds))\(rest), "
                    + "\(Format.count(discards)) discarded, \(known > 0 ? "\(Format.count(known)) known, " : "")"),
            Terminal.Span("\(Format.count(failures)) failed", failures > 0 ? .alarming : .plain),
        ]
    }

    private var findingLines: [[Terminal.Span]] {
        let hidden = findings.count - Self.most.findings
        let older = hidden > 0 ? [[Terminal.Span("  \(Format.amount(hidden, "finding")) before", .faint)]] : []
        return older
            + findings.suffix(Self.most.findings).map { finding in
                let count = finding.failures > 1 ? ", \(finding.failures) cases" : ""
                return [Terminal.Span("  \(finding.title)", .alarming), Terminal.Span(count)]
            }
    }

    private var jobLines: [[Terminal.Span]] {
        let now = ContinuousClock.now
        let busy = jobs.enumerated().compactMap { number, job -> [Terminal.Span]? in
            let words: String
            switch job.work {
            case .judging(let index, let architecture): words = "case \(index), \(architecture)"
            case .shrinking(let title): words = "cutting down: \(title)"
            case .nothing: return nil
            }
            let duration = now - job.since
            // Most cases are over before they can be read.
            let time = duration < .seconds(1) ? "" : ", \(Format.span(duration.seconds))"
            return [Terminal.Span("  job \(number + 1): \(words)\(time)", .faint)]
        }
        let hidden = busy.count - Self.most.jobs
        return busy.prefix(Self.most.jobs)
            + (hidden > 0 ? [[Terminal.Span("  and \(Format.amount(hidden, "job")) more", .faint)]] : [])
    }
}
