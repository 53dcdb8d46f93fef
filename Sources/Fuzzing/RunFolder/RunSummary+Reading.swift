import Engines

extension RunSummary {
    init(_ plan: RunPlan, _ past: PastRun, in folder: RunFolder) {
        self.plan = plan
        tally = past.tally
        seconds = Double(past.elapsed) / 1000
        steering = past.steering
        isComplete = past.isComplete
        unexplained = past.openFailures.count { $0.finding == nil }
        let ordered = past.findings.sorted { ($0.value.index, $0.key) < ($1.value.index, $1.key) }
        findings = ordered.map { number, finding in
            RunFinding(finding, past.sightings[number] ?? Sightings(), in: folder, plan)
        }
    }
}

extension RunFinding {
    init(_ finding: Finding, _ sightings: Sightings, in folder: RunFolder, _ plan: RunPlan) {
        var finding = finding
        finding.occurrences = Finding.Occurrences(sightings)
        let signature = finding.failure.signature
        title = finding.title
        self.signature = signature
        (words, needs) = (finding.caseLines, finding.needLines)
        seen = finding.failure.seen
        frames = signature.frames
        index = finding.index
        history = finding.history
        self.sightings = sightings
        (isFlaky, isLost, isUnfinished) = (finding.isFlaky, finding.isLost, finding.isUnfinished)
        llamaCommands = []
        guard let entry = finding.entry else {
            key = signature.description
            return
        }
        let name = Corpus.name(of: entry)
        key = String(name.dropLast(".json".count))
        file = "corpus/\(name)"
        let path = folder.corpus.path(of: entry).shellArgument
        let engine = plan.engines.first { $0.devices.keys.contains(signature.device) }
        let option = engine.flatMap { $0.name == "builtin" ? nil : " --engine \($0.option.shellArgument)" }
        replay = "gguf-fuzz replay \(path)\(option ?? "")"
        if engine?.name == "llama", let commands = try? LlamaTools.commands(of: entry.case, model: "model.gguf") {
            llamaCommands = ["gguf-fuzz export \(path) -o model.gguf"] + commands
        }
    }
}
