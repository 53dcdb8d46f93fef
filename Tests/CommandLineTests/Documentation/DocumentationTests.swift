import Foundation
import Testing

/// The README and the articles in `Documentation`. Blocks of the language `sh` are run in order, those of one page in
/// one folder, and must print what the page shows (`ShownOutput`). A comment before a block says what else holds of it:
///
/// - `<!-- status 1 -->`: its last command fails, as it should;
/// - `<!-- needs … -->`: it is not run, and the names of its commands and options are checked. What needs llama.cpp is
///   run where `GGUF_FUZZ_LLAMA` names one, which then is `PREFIX`; what needs Vulkan, where there is a device;
/// - `<!-- setup`, lines, `-->`: commands that are run and not shown;
/// - `<!-- from FILE -->`, of Swift: it is in that file.
///
/// With `GGUF_FUZZ_REMAKE` in the environment, what commands print now is written into the pages (`CI/figures`).
@Suite("Documentation")
struct DocumentationTests {
    private static let root = DocumentedPage.root

    @Test("commands run, and print what is shown", arguments: try DocumentedPage.all())
    func commandsRun(page: DocumentedPage) throws {
        var remade: [(range: Range<Int>, lines: [String])] = []
        try withTemporaryFolder { folder in
            for (number, block) in page.blocks.enumerated() where block.language == "sh" {
                if let setup = page.setups[number] {
                    let tool = try Self.shell("set -e\n" + setup, in: folder)
                    try #require(tool.status == 0, "\(setup)\n\(tool)")
                }
                guard let prefix = try Self.prefix(for: block, in: folder) else { continue }
                let commands = ShellCommand.commands(of: block, in: page)
                for (index, command) in commands.enumerated() {
                    let text = command.text.replacing("PREFIX", with: prefix)
                        .replacing("Corpus/llama.cpp", with: Self.root.path + "/Corpus/llama.cpp")
                    let tool = try Self.shell(command.output == nil ? "set -e\n" + text : text, in: folder)
                    let status = index == commands.count - 1 && block.marker == "status 1" ? 1 : 0
                    #expect(tool.status == status, "\(page.testDescription): \(command.text)\n\(tool)")
                    guard let range = command.output else { continue }
                    let shown = ShownOutput(lines: page.lines[range].map { $0 })
                    let printed = tool.output.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
                    let output = printed.last == "" ? printed.dropLast() : printed
                    if ProcessInfo.processInfo.environment["GGUF_FUZZ_REMAKE"] != nil {
                        remade.append((range, shown.remade(from: output)))
                    } else {
                        #expect(shown.shows(output), "\(page.testDescription): \(command.text)\n\(tool.output)")
                    }
                }
            }
        }
        guard !remade.isEmpty else { return }
        var lines = page.lines
        for (range, output) in remade.reversed() { lines.replaceSubrange(range, with: output) }
        guard lines != page.lines else { return }
        try lines.joined(separator: "\n").write(to: page.url, atomically: true, encoding: .utf8)
    }

    /// What stands for `PREFIX` in a block that can be run here; nil for one that cannot.
    private static func prefix(for block: DocumentedPage.Block, in folder: String) throws -> String? {
        guard let marker = block.marker, marker != "status 1" else { return "" }
        try #require(marker.hasPrefix("needs "), "what does <!-- \(marker) --> say?")
        switch marker {
        case "needs llama.cpp": return ProcessInfo.processInfo.environment["GGUF_FUZZ_LLAMA"]
        case "needs Vulkan": return try shell("gguf-fuzz devices", in: folder).output.contains("\nvulkan0 ") ? "" : nil
        default: return nil
        }
    }

    /// The program that is tested is first on the path.
    private static func shell(_ script: String, in folder: String) throws -> Tool {
        let path = Program.executable.deletingLastPathComponent().path
        let rest = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
        return try Tool("/usr/bin/env", ["PATH=\(path):\(rest)", "LC_ALL=C.UTF-8", "bash", "-c", script], in: folder)
    }

    @Test(
        "commands, their options, and scripts exist",
        arguments: try DocumentedPage.all() + ["Fuzz/README.md", "Corpus/README.md"].map {
            try DocumentedPage(root.appendingPathComponent($0))
        })
    func namesExist(page: DocumentedPage) throws {
        var helpTexts: [[String]: String] = [:]
        func help(_ command: [String]) throws -> String {
            if let known = helpTexts[command] { return known }
            let program = try Program(arguments: command + ["--help"], in: Self.root.path)
            try #require(program.status == 0, "\(command): \(program)")
            helpTexts[command] = program.output
            return program.output
        }
        for block in page.blocks where block.language == "sh" {
            let script = ShellCommand.commands(of: block, in: page).map(\.text).joined(separator: "\n")
            for words in ShellCommand.simpleCommands(in: script) {
                for word in words where word.hasPrefix("CI/") || word.hasPrefix("Fuzz/") {
                    #expect(FileManager.default.fileExists(atPath: Self.root.path + "/" + word), "\(word)")
                }
                guard let start = words.firstIndex(where: { $0 == "gguf-fuzz" || $0 == "CI/run" }) else { continue }
                var command: [String] = []
                var arguments = words[(start + 1)...]
                while let name = arguments.first, !name.hasPrefix("-"), try Self.isListed(name, in: help(command)) {
                    command.append(name)
                    arguments = arguments.dropFirst()
                }
                #expect(!command.isEmpty || arguments.isEmpty, "\(page.testDescription): no command: \(words)")
                // Of a command that has others, the one that is meant without a name.
                if let other = try help(command).firstMatch(of: /\n  (\S+) \(default\)/) {
                    command.append(String(other.1))
                }
                for word in arguments where word.hasPrefix("-") {
                    let option = String(word.prefix { $0 != "=" })
                    #expect(
                        try Self.isListed(option, in: help(command)),
                        "\(page.testDescription): \(command.joined(separator: " ")) has no \(option)")
                }
            }
        }
    }

    @Test("options that the text names are some command's")
    func optionsInTextExist() throws {
        func help(_ command: [String]) throws -> String {
            let text = try Program(arguments: command + ["--help"], in: Self.root.path).output
            let subcommands = text.components(separatedBy: "SUBCOMMANDS:\n").dropFirst().first ?? ""
            return try subcommands.matches(of: /(?m)^  ([a-z]\w*)/).reduce(text) {
                try $0 + help(command + [String($1.1)])
            }
        }
        let all = try help([])
        let known = Set(all.matches(of: /--\w[\w-]*/).map { String($0.0) })
        #expect(known.contains("--noise-floor"))
        for page in try DocumentedPage.all() {
            for code in page.prose.split(separator: "`", omittingEmptySubsequences: false).enumerated()
            where code.offset % 2 == 1 {
                for option in code.element.matches(of: /(?:^| )(--\w[\w-]*)/) {
                    #expect(known.contains(String(option.1)), "\(page.testDescription): \(code.element)")
                }
            }
        }
    }

    /// Whether a help text has a line for a subcommand or an option.
    private static func isListed(_ name: String, in help: String) -> Bool {
        help.split(separator: "\n").contains { line in
            guard line.hasPrefix("  ") else { return false }
            let names = line.dropFirst(2).split(separator: " ", omittingEmptySubsequences: false)
            return names.first.map(String.init) == name || names.first.map(String.init) == name + ","
                || names.first?.hasSuffix(",") == true && names.dropFirst().first.map(String.init) == name
        }
    }

    @Test("code in Swift is that of the file that it is from", arguments: try DocumentedPage.all())
    func codeIsCurrent(page: DocumentedPage) throws {
        for block in page.blocks where block.language == "swift" {
            guard let marker = block.marker, marker.hasPrefix("from ") else { continue }
            let file = Self.root.appendingPathComponent(String(marker.dropFirst(5)))
            func bare(_ text: String) -> String {
                text.components(separatedBy: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
                    .joined(separator: "\n")
            }
            let source = bare(try String(contentsOf: file, encoding: .utf8))
            for part in bare(page.lines[block.range].joined(separator: "\n")).components(separatedBy: "\n\n") {
                #expect(source.contains(part), "\(page.testDescription): not in \(file.lastPathComponent):\n\(part)")
            }
        }
    }

    @Test("links lead somewhere", arguments: [
        "README.md", "Fuzz/README.md", "Fuzz/findings.md", "Fuzz/transformers/README.md", "Corpus/README.md",
    ])
    func links(file: String) throws {
        let page = try DocumentedPage(Self.root.appendingPathComponent(file))
        for link in page.links where !link.hasPrefix("http") {
            let parts = link.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let folder = page.url.deletingLastPathComponent()
            let target = parts[0].isEmpty ? page.url : folder.appendingPathComponent(parts[0])
            #expect(FileManager.default.fileExists(atPath: target.path), "\(file): \(link)")
            guard parts.count == 2 else { continue }
            let anchors = try DocumentedPage(target).lines.filter { $0.hasPrefix("#") }.map { heading in
                heading.drop { $0 == "#" || $0 == " " }.lowercased().replacing(" ", with: "-")
                    .filter { $0.isLetter || $0.isNumber || $0 == "-" || $0 == "_" }
            }
            #expect(anchors.contains(parts[1]), "\(file): \(link)")
        }
    }

    @Test("articles link to each other, and the first one to all of them")
    func articlesAreFound() throws {
        let articles = try DocumentedPage.all().filter { $0.url.path.hasPrefix(DocumentedPage.catalogue.path) }
        let names = Set(articles.map { $0.url.deletingPathExtension().lastPathComponent })
        let readme = try DocumentedPage(Self.root.appendingPathComponent("README.md"))
        let first = try #require(articles.first { $0.url.lastPathComponent == "GGUFFuzz.md" })
        for page in articles {
            // What is beside the catalogue in the repository is not on the pages that are built.
            for link in page.links where !link.hasPrefix("http") {
                let isArticle = link.hasPrefix("doc:") && names.contains(String(link.dropFirst(4)))
                #expect(isArticle, "\(page.testDescription): \(link)")
            }
        }
        for name in names.subtracting(["GGUFFuzz"]) {
            #expect(first.lines.contains("- <doc:\(name)>"), "\(name)")
            #expect(readme.links.contains("Documentation/GGUFFuzz.docc/\(name).md"), "\(name)")
        }
    }

    @Test("the README counts architectures and faults as their pages do")
    func countsAgree() throws {
        func text(_ file: String) throws -> String { try DocumentedPage(Self.root.appendingPathComponent(file)).prose }
        let architectures = try #require(text("Fuzz/architectures.md").firstMatch(of: /builtin engine has (\d+)\./)).1
        let faults = try #require(text("Fuzz/faults.md").firstMatch(of: /cases: \d+ of (\d+) \(/)).1
        #expect(try text("README.md").contains("[\(architectures) architectures]"))
        #expect(try text("README.md").contains(" has \(faults) faults "))
        let checks = Self.root.appendingPathComponent("Documentation/GGUFFuzz.docc/Checks.md")
        #expect(try DocumentedPage(checks).prose.contains(" has \(faults) faults "))
    }

    @Test("the README is two screens")
    func readmeIsShort() throws {
        #expect(try DocumentedPage(Self.root.appendingPathComponent("README.md")).lines.count <= 100)
    }

    @Test("what is shown fits what is printed", arguments: [
        (["a  b"], ["a b"], true),
        (["a b"], ["a c"], false),
        (["a"], ["a", "b"], false),
        (["a", "…"], ["a"], true),
        (["a", "…", "d"], ["a", "b", "c", "d"], true),
        (["a", "…", "d"], ["a", "b", "c"], false),
        (["error 3.2e-07 in 5"], ["error 1.9e-07 in 5"], true),
        (["error 3.2e-07 in 5"], ["error 1.9e-05 in 5"], false),
        (["error 3.2e-07 in 5"], ["error 3.2e-07 in 6"], false),
        (["error 1.5;"], ["error 2.5,"], false),
        (["took … s"], ["took a lot of s"], true),
        (["Corpus/…: passes"], ["Corpus/x.json: passes"], true),
        (["Corpus/…: passes"], ["Corpus/x.json: fails"], false),
    ])
    func shownOutput(shown: [String], printed: [String], fits: Bool) {
        #expect(ShownOutput(lines: shown).shows(printed) == fits)
    }

    @Test("what is shown is remade in its places")
    func remade() {
        let output = ["head 1", "x", "y", "find 2 of 3", "see 4", "z", "end 5"]
        let shown = ShownOutput(lines: ["head 0", "…", "find 1 of 3", "see 0", "…", "end 0"])
        #expect(shown.remade(from: output) == ["head 1", "…", "find 2 of 3", "see 4", "…", "end 5"])
        #expect(ShownOutput(lines: ["a"]).remade(from: ["b", "c"]) == ["b", "c"])
    }
}
