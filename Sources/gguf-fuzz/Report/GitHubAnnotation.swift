import Fuzzing

/// A finding as a command of GitHub's workflows, which shows it beside the job:
/// https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions
enum GitHubAnnotation {
    /// New findings are errors; those that were there before are warnings.
    static func line(_ finding: ReportedFinding) -> String {
        let lines = finding.smallest + finding.needs + [finding.seen, finding.whereSeen]
        let text = (lines + finding.commands.flatMap(\.lines))
            .joined(separator: "\n")
        let level = finding.status == nil || finding.isNew ? "error" : "warning"
        return "::\(level) title=\(property("\(finding.number). \(finding.title)"))::\(data(text))"
    }

    private static func data(_ text: String) -> String {
        text.replacing("%", with: "%25").replacing("\r", with: "%0D").replacing("\n", with: "%0A")
    }

    private static func property(_ text: String) -> String {
        data(text).replacing(":", with: "%3A").replacing(",", with: "%2C")
    }
}
