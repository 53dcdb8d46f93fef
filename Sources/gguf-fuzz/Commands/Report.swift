import ArgumentParser
import Foundation
import Fuzzing
import GGUF

struct Report: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make one page of what a run came to, and what is new since another.",
        discussion: """
            The page says what failed, each cause with its smallest case and the commands that show it; which \
            architecture does how well on which device; how errors are spread; what was covered and what never was. It \
            needs nothing but itself, so that it can be sent and kept. The folder is of run --run, going on or ended, \
            or of merge.

            For continuous integration, --junit writes what such systems read of tests: a test for each finding, \
            which fails, and one for each architecture on each device. --github prints annotations for GitHub's \
            workflows, and adds a summary to the job's.

            Exit status: 0, whatever failed in the run; 2 for bad input.

            Examples:
              gguf-fuzz report night
              gguf-fuzz report night --since last-night -o night.html
              gguf-fuzz report night --junit night.xml --github
            """)

    @Argument(help: ArgumentHelp("The run's folder.", valueName: "folder"))
    var folder: String
    @Option(
        name: [.customShort("o"), .customLong("output")],
        help: ArgumentHelp("The page to write. (default: report.html in the run's folder)", valueName: "file"))
    var output: String?
    @Option(help: ArgumentHelp(
        "The folder of an earlier run, to say what is new, gone and still there.", valueName: "folder"))
    var since: String?
    @Option(help: ArgumentHelp("Write a JUnit file, too.", valueName: "file"))
    var junit: String?
    @Flag(help: "Print GitHub's annotations, and add to the job's summary: the file of GITHUB_STEP_SUMMARY.")
    var github = false

    func run() throws {
        let run = try Self.summary(folder)
        let other = try since.map { (summary: try Self.summary($0), folder: $0) }
        let page = try ReportPage(run, folder: folder, since: other)

        // What cannot be written does not keep the rest from it.
        var problems: [any Error] = []
        func attempt(_ body: () throws -> Void) { do { try body() } catch { problems.append(error) } }
        let path = output ?? (folder.hasSuffix("/") ? folder : folder + "/") + "report.html"
        let text = try ReportTemplates.page.text(of: page)
        attempt { try ReplacementFile.save(text.utf8, to: path) }
        let isWritten = problems.isEmpty
        if let junit {
            let text = try ReportTemplates.junit.text(of: JUnitReport(run, page))
            attempt { try ReplacementFile.save(text.utf8, to: junit) }
        }
        if github {
            for finding in page.findings { print(GitHubAnnotation.line(finding)) }
            let summary = try ReportTemplates.summary.text(of: page)
            if let path = ProcessInfo.processInfo.environment["GITHUB_STEP_SUMMARY"], !path.isEmpty {
                attempt { try Self.append(summary, to: path) }
            } else {
                print(summary, terminator: "")
            }
        }
        if isWritten { print("\(path): \(page.headline)") }
        for problem in problems.dropLast() { Terminal.error("gguf-fuzz: \(problem)") }
        if let problem = problems.last { throw problem }
    }

    private static func summary(_ folder: String) throws -> RunSummary {
        try CommandError.naming(folder) { try RunFolder.read(URL(fileURLWithPath: folder)).summary }
    }

    /// Other steps have written theirs.
    private static func append(_ text: String, to path: String) throws {
        func failure() -> CommandError {
            CommandError("\(path): cannot be written: \(String(cString: strerror(errno)))")
        }
        guard let file = fopen(path, "a") else { throw failure() }
        let isWritten = fputs(text, file) >= 0 && fflush(file) == 0
        let error = failure()
        fclose(file)
        guard isWritten else { throw error }
    }
}
