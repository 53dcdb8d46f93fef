import Foundation
import Fuzzing

/// What a run came to, as text.
struct RunText {
    let report: FuzzReport
    let shard: Shard
    let absences: [String]
    let changesOfKnown: [(finding: KnownFindings.Finding, now: Verdict)]

    func print() {
        table.print()
        printCoverage()
        for (number, finding) in report.findings.enumerated() { Self.print(finding, number: number + 1) }
        let rest = report.findings.filter { $0.problem != nil && $0.entry != nil }
        for finding in rest { Self.printEntry(of: finding) }
        Swift.print("")
        if report.wasInterrupted { Swift.print("interrupted: this is what there was until then") }
        Swift.print(lastLine)
    }

    /// A line for each architecture; of each device the verdicts, the worst error of those that passed, and what else
    /// there was.
    private var table: TextTable {
        let devices = report.plan.devices.followed(by: report.cells.keys.map(\.device))
        var table = TextTable([""] + devices.flatMap { [$0, "", ""] })
        for column in devices.indices { table.rightAligned.formUnion([3 * column + 1, 3 * column + 2]) }
        table.rows.append(["architecture"] + devices.flatMap { _ in ["verdicts", "worst", ""] })
        for architecture in report.plan.architectures.map({ $0.name }) {
            let cells = devices.map { report.cells[.init(architecture: architecture, device: $0)] }
            guard cells.contains(where: { $0 != nil }) else { continue }
            table.rows.append([architecture] + cells.flatMap { $0?.texts ?? ["", "", ""] })
        }
        return table
    }

    private func printCoverage() {
        Swift.print("worst: the largest error of a row that passed, as a multiple of its noise floor")
        if report.discarded > 0 { Swift.print("\ndiscarded") }
        for (reason, count) in report.discards.mostFirst {
            Swift.print("  \(Format.count(count)) (\(percentage(count))): \(reason)")
        }
        if !report.known.isEmpty { Swift.print("\nknown findings that explain failures") }
        for (name, count) in report.known.mostFirst {
            Swift.print("  \(Format.count(count)) (\(percentage(count))): \(name)")
        }
        if !changesOfKnown.isEmpty { Swift.print("\nknown findings that no longer fail as they did") }
        for (finding, now) in changesOfKnown {
            let version = finding.entry.found.engine.map { " (seen on \($0))" } ?? ""
            Swift.print("  \(finding.path)\(version): \(now.words)")
        }
        if !report.fallbacks.isEmpty { Swift.print("\ndone in another way than asked") }
        for fallback in report.fallbacks.sorted() { Swift.print("  \(fallback)") }
        if !absences.isEmpty { Swift.print("") }
        for absence in absences { Swift.print("not found: \(absence)") }
        let (features, pairs) = (Format.count(report.coverage.features.count), Format.count(report.coverage.pairCount))
        Swift.print("\n\(features) features and \(pairs) pairs of features were seen")
        // Drawing so many cases again takes a while, which an interrupt does not wait for.
        if report.plan.isSteered, !report.wasInterrupted, let gain = try? SteeringGain(
            report.plan, cases: UInt64(min(report.cases, 1000))) {
            Swift.print(gain.words)
        }
    }

    private func percentage(_ count: Int) -> String {
        String(format: "%.1f %%", 100 * Double(count) / Double(max(1, report.verdicts)))
    }

    /// A failure: what, the smallest case, what was seen, and how to see it again.
    private static func print(_ finding: Finding, number: Int) {
        Swift.print("\n\(number). \(finding.title)")
        for line in finding.lines(replay: "gguf-fuzz replay") { Swift.print("   \(line)") }
        if finding.problem != nil { Swift.print("   what its file would hold is below") }
    }

    /// What could not be written is printed, so that nothing is lost.
    private static func printEntry(of finding: Finding) {
        guard let text = try? finding.entry?.text() else { return }
        Swift.print("\n\(finding.title):\n\(text)", terminator: "")
    }

    /// `1000 cases of seed 1, 2000 verdicts, 0 failed, 12 discarded (0.6 %), 310 cases/s, 3.2 s`; on a GPU, `310
    /// cases/s with 3 jobs`.
    private var lastLine: String {
        let part = shard.count > 1 ? ", shard \(shard)" : ""
        let jobs = report.measuredJobs.map { $0 == 1 ? " with 1 job" : " with \($0) jobs" } ?? ""
        let rate = Double(report.cases) / max(report.duration.seconds, 1e-9)
        return "\(report.cases) cases of seed \(report.plan.seed)\(part), \(report.verdicts) verdicts, "
            + "\(report.failures) failed, \(report.discarded) discarded (\(percentage(report.discarded))), "
            + "\(Format.rate(rate)) cases/s\(jobs), \(Format.duration(report.duration))"
    }
}

extension Tally.Cell {
    fileprivate var texts: [String] {
        let others = [
            failures > 0 ? "FAILED \(failures)" : nil, known > 0 ? "known \(known)" : nil,
            discards > 0 ? "discarded \(discards)" : nil,
        ]
        return ["\(verdicts)", worst.map(Format.multiple) ?? "-", others.compactMap { $0 }.joined(separator: ", ")]
    }
}

extension Verdict {
    /// `passes`, `fails in another way: not finite in process`
    fileprivate var words: String {
        switch outcome {
        case .passed: "passes"
        case .failed(let failure): "fails in another way: \(failure.signature.kind) in \(failure.signature.stage)"
        case .discarded(let reason): "discarded: \(reason)"
        case .known(let name): "known: \(name)"
        }
    }
}

extension SteeringGain {
    /// `steering: 41,200 pairs of features in the first 1,000 cases, 36,100 without, which take 710 with it`
    var words: String {
        "steering: \(Format.amount(steered, "pair")) of features in the first \(Format.amount(Int(cases), "case")), "
            + "\(Format.count(plain)) without"
            + (sooner.map { "; as many are seen in \(Format.amount(Int($0), "case"))" } ?? "")
    }
}
