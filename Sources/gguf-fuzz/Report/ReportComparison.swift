import Fuzzing

/// What changed since another run.
struct ReportComparison {
    /// The other run's folder.
    var since: String
    var headline: String
    var words: String
    /// Why it says less than one might think.
    var warnings: [String]
    /// Findings of the other run, of what was tested again, that were not met.
    var gone: [Past]
    /// Findings of the other run that this one could not meet.
    var untested: [Past]
    /// What the other run's findings are called.
    private let old: Names

    /// A finding of the other run.
    struct Past {
        var title: String
        var place: String
    }

    /// - Parameter name: of the other run.
    init(_ run: RunSummary, since other: RunSummary, named name: String) {
        since = name
        let (old, current) = (Names(other.findings), Names(run.findings))
        self.old = old
        let missing = other.findings.filter { !current.has($0) }
        gone = missing.filter { run.plan.covers($0) }.map(Past.init)
        untested = missing.filter { !run.plan.covers($0) }.map(Past.init)
        let new = run.findings.count { !old.has($0) }
        let counts = [
            "\(new == 0 ? "no" : Format.count(new)) new \(new == 1 ? "finding" : "findings")",
            "\(Format.count(run.findings.count - new)) still there", "\(Format.count(gone.count)) gone",
        ]
        headline = counts.joined(separator: ", ").capitalizedFirst
        words = Self.changes(run.plan, other.plan)
        warnings = []
        if !gone.isEmpty, run.tally.cases < other.tally.cases {
            warnings.append(
                "\(Format.count(run.tally.cases)) cases were judged, \(Format.count(other.tally.cases)) then: "
                    + "what is gone may not have been met.")
        }
        if !gone.isEmpty, run.plan.options["known"] != other.plan.options["known"] {
            warnings.append("Other findings are known: what is gone may be among these.")
        }
    }

    func isNew(_ finding: RunFinding) -> Bool { !old.has(finding) }

    /// Titles say the cause: one that another architecture showed this time has another key, and is no news.
    private struct Names {
        private let names: Set<String>

        init(_ findings: [RunFinding]) { names = Set(findings.flatMap { [$0.key, $0.title] }) }

        func has(_ finding: RunFinding) -> Bool { names.contains(finding.key) || names.contains(finding.title) }
    }

    /// What is not as it was.
    private static func changes(_ plan: RunPlan, _ other: RunPlan) -> String {
        func version(_ plan: RunPlan, _ name: String) -> String? {
            plan.engines.first { $0.name == name }.map { engine in
                engine.version.isEmpty ? String(engine.fingerprint.prefix(12)) : engine.version
            }
        }
        var parts = plan.engines.compactMap { engine -> String? in
            let (now, then) = (version(plan, engine.name) ?? "", version(other, engine.name) ?? "not tested")
            return now == then ? nil : "\(engine.name) was \(then), is \(now)"
        }
        if plan.version != other.version { parts.append("gguf-fuzz was \(other.version), is \(plan.version)") }
        if plan.seed != other.seed { parts.append("the seed was \(other.seed), is \(plan.seed)") }
        if plan.devices != other.devices { parts.append("devices were \(other.devices.joined(separator: ", "))") }
        if plan.checks != other.checks { parts.append("checks were \(other.checks.joined(separator: ", "))") }
        if plan.architectures != other.architectures {
            let (added, left) = (
                plan.architectures.filter { !other.architectures.contains($0) },
                other.architectures.filter { !plan.architectures.contains($0) })
            if !added.isEmpty { parts.append("architectures of this run only: \(Format.list(added))") }
            if !left.isEmpty { parts.append("architectures of that run only: \(Format.list(left))") }
        }
        for name in Set(plan.options.keys).union(other.options.keys).sorted() {
            let (now, then) = (plan.options[name] ?? "not given", other.options[name] ?? "not given")
            if now != then { parts.append("--\(name) was \(then), is \(now)") }
        }
        return parts.isEmpty ? "the same engines and plan." : parts.joined(separator: "; ") + "."
    }
}

extension ReportComparison.Past {
    fileprivate init(_ finding: RunFinding) {
        title = finding.title
        let sightings = finding.sightings
        place = "\(Format.amount(sightings.cases, "case")); \(ReportedFinding.list(sightings.architectures))"
    }
}

extension RunPlan {
    /// Whether a finding of another run could be met in this one.
    fileprivate func covers(_ finding: RunFinding) -> Bool {
        let sightings = finding.sightings
        return sightings.architectures.keys.contains(where: architectures.contains)
            && sightings.devices.keys.contains(where: devices.contains)
            && sightings.checks.keys.contains(where: checks.contains)
    }
}

extension String {
    fileprivate var capitalizedFirst: String { prefix(1).uppercased() + dropFirst() }
}
