import Foundation
#if canImport(FoundationXML)
import FoundationXML
#endif
import Testing

/// What the browser does with the page is `CI/report-page`'s affair.
@Suite("Reports of runs")
struct ReportTests {
    /// A run that finds one fault, of gemma3; gpt2 passes. It is run once: the files of its folder, by their paths.
    private static let night = Result {
        var files: [String: Data] = [:]
        try withTemporaryFolder { folder in
            try run("night", in: folder, "--inject", "window-off-by-one", "--arch", "gemma3,gpt2", "--cases", "16")
            for path in try FileManager.default.subpathsOfDirectory(atPath: folder + "/night") {
                files[path] = FileManager.default.contents(atPath: "\(folder)/night/\(path)")
            }
        }
        return files
    }

    /// The folder `night` of that run, in one of its own.
    private static func withNight(_ body: (String) throws -> Void) throws {
        try withTemporaryFolder { folder in
            for (path, data) in try night.get() {
                let file = URL(fileURLWithPath: "\(folder)/night/\(path)")
                try FileManager.default.createDirectory(
                    at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
                try data.write(to: file)
            }
            try body(folder)
        }
    }

    private static func run(_ name: String, in folder: String, _ options: String...) throws {
        let program = try Program(
            arguments: ["run", "--run", name, "--device", "cpu", "--check", "agrees", "--shrink-time", "20s"] + options,
            in: folder)
        #expect(program.status < 2, "\(program)")
    }

    private static func text(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }

    @Test("a page says what failed, where, and how to see it again, and needs nothing but itself")
    func page() throws {
        try Self.withNight { folder in
            let program = try Program("report", "night", in: folder)
            #expect(program.status == 0 && program.errors.isEmpty, "\(program)")
            #expect(program.output == "night/report.html: 1 finding\n")
            let page = try Self.text(folder + "/night/report.html")
            #expect(page.contains("<h1 class=\"bad\">1 finding</h1>"))
            #expect(page.contains("attention.sliding_window"))
            let files = try FileManager.default.contentsOfDirectory(atPath: folder + "/night/corpus")
            #expect(files.count == 1 && page.contains("<pre>gguf-fuzz replay night/corpus/\(files[0])</pre>"))
            #expect(page.contains("<th scope=\"row\">gpt2</th><td class=\"heat\""))
            #expect(page.contains("<th scope=\"row\">gemma3</th><td class=\"failed\""))
            #expect(page.contains("16 cases of seed 1 in ") && page.contains("8 verdicts"))
            // Names in words of templates are all found, and every link leads to a place in it.
            #expect(!page.contains("{{"))
            #expect(!page.contains("://") && !page.contains("<link rel=\"stylesheet\"") && !page.contains(" src="))
            for link in page.matches(of: /href="#([^"]+)"/) {
                #expect(page.contains("id=\"\(link.output.1)\""), "\(link.output.0)")
            }
            for link in page.matches(of: /href="([^#"][^"]*)"/) { #expect(link.output.1 == "data:,") }
        }
    }

    @Test("what a run's folder says is text on the page, never markup")
    func escaping() throws {
        try Self.withNight { folder in
            let plan = folder + "/night/plan.json"
            let odd = try Self.text(plan)
                .replacing(/"system"\s*:\s*"[^"]*"/, with: #""system" : "<img src=x> & {{title}}""#)
            #expect(odd.contains("<img"))
            try odd.write(toFile: plan, atomically: true, encoding: .utf8)
            let program = try Program("report", "night", "-o", "odd.html", in: folder)
            #expect(program.status == 0, "\(program)")
            let page = try Self.text(folder + "/odd.html")
            #expect(page.contains("&lt;img src=x&gt; &amp; {{title}}") && !page.contains("<img"))
        }
    }

    @Test("beside another run, findings are new, still there, gone, or were not tested")
    func comparison() throws {
        try Self.withNight { folder in
            try Self.run("sound", in: folder, "--arch", "gemma3,gpt2", "--cases", "16")
            try Self.run("other", in: folder, "--arch", "gpt2", "--cases", "8")
            func headline(_ folders: String...) throws -> (String, String) {
                let program = try Program("report", folders[0], "--since", folders[1], "-o", "page.html", in: folder)
                #expect(program.status == 0, "\(program)")
                return (program.output, try Self.text(folder + "/page.html"))
            }
            let new = try headline("night", "sound")
            #expect(new.0 == "page.html: 1 new finding, 0 still there, 0 gone\n")
            #expect(new.1.contains("<span class=\"badge new\">new</span>"))
            let same = try headline("night", "night")
            #expect(same.0 == "page.html: No new findings, 1 still there, 0 gone\n")
            let gone = try headline("sound", "night")
            #expect(gone.0 == "page.html: No new findings, 0 still there, 1 gone\n")
            #expect(gone.1.contains("<h2 id=\"gone\">") && !gone.1.contains("<h2 id=\"untested\">"))
            let untested = try headline("other", "night")
            #expect(untested.0 == "page.html: No new findings, 0 still there, 0 gone\n")
            #expect(untested.1.contains("<h2 id=\"untested\">"))
        }
    }

    @Test("for JUnit a cause is one failure, and architectures that only show it are skipped")
    func junit() throws {
        try Self.withNight { folder in
            let program = try Program("report", "night", "--junit", "night.xml", in: folder)
            #expect(program.status == 0, "\(program)")
            let counter = ElementCounter()
            let parser = XMLParser(data: try Data(contentsOf: URL(fileURLWithPath: folder + "/night.xml")))
            parser.delegate = counter
            #expect(parser.parse(), "\(String(describing: parser.parserError))")
            #expect(counter.counts["testsuite"] == 1 && counter.counts["testcase"] == 3)
            #expect(counter.counts["failure"] == 1 && counter.counts["skipped"] == 1)
            let text = try Self.text(folder + "/night.xml")
            #expect(text.contains("tests=\"3\" failures=\"1\" skipped=\"1\""))
            #expect(text.contains("<testcase classname=\"gguf-fuzz.cpu\" name=\"gpt2\"/>"))
            #expect(text.contains("  gguf-fuzz replay night/corpus/"))
        }
    }

    @Test("for GitHub each finding is an annotation of one line, and the job's summary is added to")
    func github() throws {
        try Self.withNight { folder in
            try "before\n".write(toFile: folder + "/summary.md", atomically: true, encoding: .utf8)
            let tool = try Tool(
                "/usr/bin/env",
                ["GITHUB_STEP_SUMMARY=summary.md", Program.executable.path, "report", "night", "--github"], in: folder)
            let lines = tool.output.split(separator: "\n")
            #expect(tool.status == 0 && lines.count == 2, "\(tool)")
            #expect(lines.first?.hasPrefix("::error title=1. wrong numbers") ?? false)
            #expect(lines.first?.contains("%0Agguf-fuzz replay night/corpus/") ?? false)
            let summary = try Self.text(folder + "/summary.md")
            #expect(summary.hasPrefix("before\n## 1 finding\n") && summary.contains("| 1 | wrong numbers"))
        }
    }

    @Test("what is no run's folder, and a page that cannot be written, are refused")
    func refusals() throws {
        try Self.withNight { folder in
            for arguments in [
                ["morning"], ["night/corpus"], ["night", "--since", "morning"], ["night", "-o", "nowhere/page.html"],
            ] {
                let program = try Program(arguments: ["report"] + arguments, in: folder)
                #expect(program.isRefusal, "\(program)")
            }
        }
    }
}

#if os(Linux)
    extension ReportTests {
        @Test("what of a report cannot be written does not keep the rest from it, and devices are written to")
        func fullDisk() throws {
            try Self.withNight { folder in
                let program = try Program("report", "night", "-o", "/dev/full", "--junit", "night.xml", in: folder)
                #expect(program.status == 2 && program.output.isEmpty, "\(program)")
                #expect(program.errors == "gguf-fuzz: /dev/full: cannot be written: No space left on device\n")
                #expect(try Self.text(folder + "/night.xml").contains("<testsuite"))
                let page = try Program("report", "night", "-o", "/dev/stdout", in: folder)
                #expect(page.status == 0 && page.output.contains("</html>"), "\(page)")
                let both = try Program("report", "night", "-o", "nowhere/a", "--junit", "nowhere/b", in: folder)
                #expect(both.status == 2 && both.errors.count { $0 == "\n" } == 2, "\(both)")
            }
        }
    }
#endif

private final class ElementCounter: NSObject, XMLParserDelegate {
    var counts: [String: Int] = [:]

    func parser(
        _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
        attributes: [String: String] = [:]
    ) {
        counts[name, default: 0] += 1
    }
}
