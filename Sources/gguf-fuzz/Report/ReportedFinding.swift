import Fuzzing

/// A finding as a report shows it.
struct ReportedFinding {
    var number: Int
    var key: String
    /// What was wrong, and on which device, of the smallest case.
    var kind: String
    var device: String
    /// The page's place for it, the same in the next report.
    var anchor: String
    var title: String
    /// `new`, `still there`; nil where there is nothing to compare with.
    var status: String?
    var isNew: Bool
    /// What is to be kept in mind: `passes at times`.
    var badges: [String]
    /// The smallest case, a line each.
    var smallest: [String]
    /// What of it matters, a line each.
    var needs: [String]
    var seen: String
    /// The innermost, which say most, and who called them.
    var frames: [String]
    var outerFrames: [String]
    var cases: Int
    var casesText: String
    /// The case that showed it first.
    var index: UInt64
    var history: String
    /// How many architectures show it.
    var spread: Int
    var architectureList: String
    var deviceList: String
    var checkList: String
    /// Names that the page's script looks for, a line each.
    var architectureNames: String
    var deviceNames: String
    var checkNames: String
    var commands: [Commands]

    /// Lines for a shell.
    struct Commands {
        var purpose: String
        var lines: [String]
    }

    private static let innerFrames = 6

    /// - Parameter isNew: nil where there is no other run to compare with.
    init(_ finding: RunFinding, number: Int, isNew: Bool?) {
        let sightings = finding.sightings
        self.number = number
        key = finding.key
        kind = finding.signature.kind
        device = finding.signature.device
        anchor = "finding-" + finding.key.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? String($0) : "-" }.joined()
        title = finding.title
        status = isNew.map { $0 ? "new" : "still there" }
        self.isNew = isNew ?? false
        badges = [
            finding.isFlaky ? "passes at times" : nil, finding.isLost ? "did not fail again" : nil,
            finding.isUnfinished && !finding.isLost ? "not cut down to the end" : nil,
        ].compactMap { $0 }
        (smallest, needs) = (finding.words, finding.needs)
        seen = finding.seen
        frames = Array(finding.frames.prefix(Self.innerFrames))
        outerFrames = Array(finding.frames.dropFirst(Self.innerFrames))
        cases = sightings.cases
        casesText = Format.count(sightings.cases)
        index = finding.index
        history = finding.history
        spread = sightings.architectures.count
        architectureList = Self.list(sightings.architectures)
        deviceList = Self.list(sightings.devices)
        checkList = Self.list(sightings.checks)
        architectureNames = sightings.architectures.keys.sorted().joined(separator: "\n")
        deviceNames = sightings.devices.keys.sorted().joined(separator: "\n")
        checkNames = sightings.checks.keys.sorted().joined(separator: "\n")
        commands = [
            finding.replay.map { Commands(purpose: "See it again", lines: [$0]) },
            finding.llamaCommands.isEmpty
                ? nil : Commands(purpose: "In llama.cpp itself", lines: finding.llamaCommands),
        ].compactMap { $0 }
    }

    /// `Seen in 16 cases. Architectures: gemma3 12, llama 4. Checks: agrees 16. Devices: cpu 16.`
    var whereSeen: String {
        "Seen in \(casesText) cases. Architectures: \(architectureList). Checks: \(checkList). Devices: \(deviceList)."
    }

    /// `gemma3 12, llama 4`: most first.
    static func list(_ counts: [String: Int]) -> String {
        counts.mostFirst.map { "\($0.key) \(Format.count($0.value))" }.joined(separator: ", ")
    }
}
