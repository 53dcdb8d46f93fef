import ArgumentParser
import Foundation
import Fuzzing

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

        let path = output ?? (folder.hasSuffix("/") ? folder : folder + "/") + "report.html"
        try Self.write(ReportTemplates.page.text(of: page), to: path)
        if let junit { try Self.write(ReportTemplates.junit.text(of: JUnitReport(run, page)), to: junit) }
        if github {
            for finding in page.findings { print(GitHubAnnotation.line(finding)) }
            let summary = try ReportTemplates.summary.text(of: page)
            if let path = ProcessInfo.processInfo.environment["GITHUB_STEP_SUMMARY"], !path.isEmpty {
                // Other steps have written theirs.
                let before = FileManager.default.contents(atPath: path) ?? Data()
                try Self.write(String(decoding: before, as: UTF8.self) + summary, to: path)
            } else {
                print(summary, terminator: "")
            }
        }
        print("\(path): \(page.headline)")
    }

    private static func summary(_ folder: String) throws -> RunSummary {
        try CommandError.naming(folder) { try RunFolder.read(URL(fileURLWithPath: folder)).summary }
    }

    private static func write(_ text: String, to path: String) throws {
        do {
            try Data(text.utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
        } catch {
            throw CommandError("\(path): cannot be written: \(error.localizedDescription)")
        }
    }
}
