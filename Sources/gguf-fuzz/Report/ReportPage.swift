import Foundation
import Fuzzing

/// What a report says of a run, in the words and the order in which its templates show it.
///
/// Templates look values up by the names of properties, from the innermost section outwards.
struct ReportPage {
    var version = GGUFFuzz.version
    /// The run's folder.
    var folder: String
    var headline: String
    /// `bad`, `good`; empty where there is nothing to be glad or sorry about.
    var tone: String
    var lead: String
    var about: String
    var comparison: ReportComparison?
    /// Those that are new first, then those that most cases showed.
    var findings: [ReportedFinding]
    var findingDevices: [String]
    var findingArchitectures: [String]
    var findingChecks: [String]
    var known: [CountRow]
    /// Where a row fails, as a multiple of its noise floor.
    var limit = Format.rate(NoiseFloor.limit)
    var devices: [String]
    var rows: [PlaceRow]
    var checks: [CheckRow]
    var histograms: [NoisePlot]
    var coverage: CoverageReport
    var discards: [CountRow]
    var discardWords: String
    var facts: [Fact]
    var probes: [ProbeText]

    /// Something that happened so many times.
    struct CountRow {
        var name: String
        var count: Int
        var countText: String
        var share: String

        /// - Parameter whole: what it is a part of.
        init(_ name: String, _ count: Int, of whole: Int) {
            self.name = name
            self.count = count
            countText = Format.count(count)
            share = Format.share(count, of: whole)
        }

        /// Most first.
        static func rows(_ counts: [String: Int], of whole: Int) -> [CountRow] {
            counts.mostFirst.map { CountRow($0.key, $0.value, of: whole) }
        }
    }

    struct Fact {
        var name: String
        var value: String
    }

    struct ProbeText {
        var device: String
        var text: String
    }

    /// - Parameters:
    ///   - folder: as the report names it.
    ///   - other: the run that it is compared with, and its name.
    /// - Throws: what drawing models throws, for what could have been seen.
    init(_ run: RunSummary, folder: String, since other: (summary: RunSummary, folder: String)? = nil) throws {
        self.folder = folder
        let (plan, tally) = (run.plan, run.tally)
        let comparison = other.map { ReportComparison(run, since: $0.summary, named: $0.folder) }
        self.comparison = comparison
        findings = run.findings
            .sorted { a, b in
                let isNew = (comparison?.isNew(a) ?? false, comparison?.isNew(b) ?? false)
                guard isNew.0 == isNew.1 else { return isNew.0 }
                return (b.sightings.cases, a.index) < (a.sightings.cases, b.index)
            }
            .enumerated().map { number, finding in
                ReportedFinding(finding, number: number + 1, isNew: comparison?.isNew(finding))
            }
        findingDevices = Set(run.findings.flatMap(\.sightings.devices.keys)).sorted()
        findingArchitectures = Set(run.findings.flatMap(\.sightings.architectures.keys)).sorted()
        findingChecks = Set(run.findings.flatMap(\.sightings.checks.keys)).sorted()
        headline = Self.headline(run, comparison)
        tone = run.findings.isEmpty ? tally.cases == 0 ? "" : "good" : "bad"
        lead = Self.lead(run)
        about = Self.about(plan)
        known = CountRow.rows(tally.known, of: tally.verdicts)
        devices = tally.devices(of: plan)
        rows = PlaceRow.rows(tally, plan, devices)
        checks = CheckRow.rows(tally, plan)
        histograms = devices.compactMap { device in tally.noise[device].map { NoisePlot($0, of: device) } }
        coverage = try CoverageReport(tally, plan)
        discards = CountRow.rows(tally.discards, of: tally.verdicts)
        discardWords = tally.discarded == 0
            ? "Every verdict says something."
            : "\(Format.amount(tally.discarded, "verdict")) (\(Format.share(tally.discarded, of: tally.verdicts))) "
                + "say nothing about the device. More than a few per cent are a defect of the fuzzer."
        facts = Self.facts(run)
        probes = plan.probes.map { ProbeText(device: $0.device, text: $0.text) }
    }

    private static func headline(_ run: RunSummary, _ comparison: ReportComparison?) -> String {
        if run.tally.cases == 0 { return "No case was judged" }
        if let comparison { return comparison.headline }
        guard run.findings.isEmpty else { return Format.amount(run.findings.count, "finding") }
        return run.tally.known.isEmpty ? "Nothing failed" : "Nothing failed but what is known"
    }

    private static func lead(_ run: RunSummary) -> String {
        let tally = run.tally
        func part(_ count: Int, _ what: String) -> String {
            "\(Format.count(count)) \(what) (\(Format.share(count, of: tally.verdicts)))"
        }
        let devices = tally.devices(of: run.plan).joined(separator: ", ")
        var parts = ["\(Format.amount(tally.verdicts, "verdict")) on \(devices)", part(tally.failures, "failed")]
        let known = tally.known.values.reduce(0, +)
        if known > 0 { parts.append(part(known, "failed as is known")) }
        parts.append(part(tally.discarded, "discarded"))
        if run.unexplained > 0 {
            parts.append("of \(Format.amount(run.unexplained, "failure")) it is not known yet what they are of")
        }
        let planned = run.plan.cases.map { " of \(Format.count(Int(clamping: $0)))" } ?? ""
        let cases = run.isComplete ? Format.amount(tally.cases, "case")
            : "\(Format.count(tally.cases))\(planned) cases so far, not complete"
        return "\(cases) of seed \(run.plan.seed) in \(Format.span(run.seconds)): \(parts.joined(separator: ", "))."
    }

    private static func about(_ plan: RunPlan) -> String {
        let engines = plan.engines.map { $0.version.isEmpty ? $0.name : "\($0.name) \($0.version)" }
        let machines = Set(plan.machines.map(\.words)).sorted()
        let parts = ["Engines: " + engines.joined(separator: ", ")]
            + (machines.isEmpty ? [] : ["machines: " + machines.joined(separator: "; ")])
        return parts.joined(separator: "; ") + "."
    }

    private static func facts(_ run: RunSummary) -> [Fact] {
        let plan = run.plan
        let rate = Double(run.tally.cases) / max(run.seconds, 1e-9)
        let extent = plan.cases.map { Format.amount(Int(clamping: $0), "case") }
            ?? plan.seconds.map { Format.span($0) + " a shard" } ?? ""
        var facts = [
            Fact(name: "Planned", value: "\(extent) of seed \(plan.seed)"),
            Fact(name: "Judged", value: "\(Format.amount(run.tally.cases, "case")) in \(Format.span(run.seconds)), "
                + "\(Format.rate(rate)) cases/s, \(run.isComplete ? "complete" : "not complete")"),
        ]
        if plan.shardCount > 1 {
            let numbers = plan.shards.count == Int(plan.shardCount)
                ? "all" : plan.shards.map(String.init).joined(separator: ", ")
            facts.append(Fact(name: "Shards", value: "\(numbers) of \(plan.shardCount)"))
        }
        if let steering = run.steering { facts.append(Fact(name: "Steering", value: steering.sentence)) }
        facts.append(Fact(name: "Checks", value: plan.checks.joined(separator: ", ")))
        for engine in plan.engines {
            let parts = [engine.version].filter { !$0.isEmpty }
                + engine.devices.sorted { $0.key < $1.key }.map { $0.value.isEmpty ? $0.key : "\($0.key): \($0.value)" }
                + (engine.fingerprint.isEmpty ? [] : ["SHA-256 \(engine.fingerprint.prefix(16))…"])
            facts.append(Fact(name: "Engine \(engine.name)", value: parts.joined(separator: "; ")))
        }
        for (name, value) in plan.options.sorted(by: { $0.key < $1.key }) {
            facts.append(Fact(name: "--\(name)", value: value))
        }
        facts += plan.machines.map { Fact(name: "Machine", value: $0.words) }
        for fallback in run.tally.fallbacks.sorted() {
            facts.append(Fact(name: "Done in another way", value: fallback))
        }
        facts.append(Fact(name: "Program", value: "gguf-fuzz \(plan.version)"
            + (plan.program.isEmpty ? "" : ", SHA-256 \(plan.program.prefix(16))…")))
        return facts
    }
}

extension Tally {
    /// The plan's, then whatever else there are verdicts of.
    func devices(of plan: RunPlan) -> [String] {
        plan.devices.followed(by: cells.keys.map(\.device))
    }
}

extension RunPlan.ProbeTable {
    /// As `devices --probe` prints it.
    fileprivate var text: String {
        var table = TextTable(["", "found", "error"])
        for row in rows { table.append(row.subject, row.found, row.error.map(Format.error) ?? "") }
        return table.lines.joined(separator: "\n")
    }
}

extension RunPlan.Machine {
    /// `n1, Debian GNU/Linux 12, EPYC 9654, 96 cores`
    fileprivate var words: String {
        [name, system, processor].filter { !$0.isEmpty }.joined(separator: ", ") + ", " + Format.amount(cores, "core")
    }
}
