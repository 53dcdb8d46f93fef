import Fuzzing

/// A run as continuous integration systems show tests: of each device a suite with a test for each finding, which
/// fails, and one for each architecture.
///
/// A cause is one failure, however many architectures show it: those are skipped, and say by which finding.
struct JUnitReport {
    var tests: Int
    var failures: Int
    var skipped: Int
    var suites: [Suite]

    struct Suite {
        var name: String
        var tests: Int
        var failures: Int
        var skipped: Int
        var cases: [Case]
    }

    struct Case {
        var classname: String
        var name: String
        var failure: Failure?
        /// Why it says nothing.
        var skip: String?
        var isPlain: Bool
    }

    struct Failure {
        var type: String
        var message: String
        var text: String
    }

    init(_ run: RunSummary, _ page: ReportPage) {
        let numbers = Dictionary(page.findings.map { ($0.key, $0.number) }) { first, _ in first }
        let devices = run.tally.devices(of: run.plan).followed(by: run.findings.map(\.signature.device))
        suites = devices.map { device in
            let classname = "gguf-fuzz." + device
            var cases = page.findings.filter { $0.device == device }.map { finding in
                Case(classname: classname, name: finding.title, failure: Failure(finding), isPlain: false)
            }
            for (place, cell) in run.tally.cells.sorted(by: { $0.key.architecture < $1.key.architecture })
            where place.device == device {
                let explaining = run.findings.filter {
                    $0.sightings.devices[device] != nil && $0.sightings.architectures[place.architecture] != nil
                }.compactMap { numbers[$0.key] }.sorted().map(String.init)
                let skip: String? = if cell.failures > 0 {
                    "\(Format.amount(cell.failures, "failure"))"
                        + (explaining.isEmpty ? "" : ", of finding \(explaining.joined(separator: ", "))")
                } else if cell.verdicts == cell.discards + cell.known {
                    "\(Format.count(cell.discards)) discarded, \(Format.count(cell.known)) known"
                } else {
                    nil
                }
                cases.append(Case(classname: classname, name: place.architecture, skip: skip, isPlain: skip == nil))
            }
            return Suite(
                name: device, tests: cases.count, failures: cases.count { $0.failure != nil },
                skipped: cases.count { $0.skip != nil }, cases: cases)
        }
        tests = suites.reduce(0) { $0 + $1.tests }
        failures = suites.reduce(0) { $0 + $1.failures }
        skipped = suites.reduce(0) { $0 + $1.skipped }
    }
}

extension JUnitReport.Failure {
    fileprivate init(_ finding: ReportedFinding) {
        type = finding.kind
        message = "\(finding.title): \(finding.seen)".withoutControls
        let commands = finding.commands.flatMap { ["", $0.purpose + ":"] + $0.lines.map { "  \($0)" } }
        var frames = (finding.frames + finding.outerFrames).map { "  \($0)" }
        if !frames.isEmpty { frames = ["", "Stack, innermost first:"] + frames }
        text = (finding.smallest + finding.needs + [finding.seen, finding.whereSeen] + frames + commands)
            .map(\.withoutControls).joined(separator: "\n")
    }
}

extension String {
    /// XML has no control characters, escaped or not.
    fileprivate var withoutControls: String {
        String(String.UnicodeScalarView(unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7F ? " " : $0 }))
    }
}
