import Foundation
import Testing

/// Real repositories, made by the tests: eight commits, whose build copies a script.
@Suite("Bisecting on the command line")
struct BisectTests {
    /// A git repository whose file `n` says which of its commits is checked out, 1 to 8; tags are `v1` to `v8`.
    private struct Repository {
        let folder: String
        var path: String { folder + "/engine-source" }

        /// - Parameter change: shell commands that make what a commit has; `$n` is its number.
        init(in folder: String, _ change: String) throws {
            self.folder = folder
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            let script = """
                set -e
                git init -q -b trunk .
                git config user.name Tester; git config user.email tester@example.com
                git config commit.gpgsign false
                for n in 1 2 3 4 5 6 7 8; do
                    echo $n > n
                    \(change)
                    git add -A; git commit -q -m "change $n"; git tag v$n
                done
                """
            let made = try Tool("/bin/sh", ["-c", script], in: path)
            try #require(made.status == 0, "\(made)")
        }

        func git(_ arguments: String...) throws -> String {
            let tool = try Tool("/usr/bin/env", ["git"] + arguments, in: path)
            return tool.output.trimmingCharacters(in: .whitespacesAndNewlines)
        }

        func bisect(
            good: String = "v1", bad: String = "v8", _ arguments: [String],
            whileRunning: (Process) throws -> Void = { _ in }
        ) throws -> Program {
            try Program(
                arguments: ["bisect", "--good", good, "--bad", bad, "--repository", "engine-source"] + arguments,
                in: folder, whileRunning: whileRunning)
        }

        /// Branch or commit, changes, and whether git thinks that it is bisecting.
        func state() throws -> String {
            try [
                git("rev-parse", "HEAD"), git("symbolic-ref", "--quiet", "HEAD"), git("status", "--porcelain"),
                git("for-each-ref", "refs/bisect"), git("bisect", "log"),
            ].joined(separator: "\n")
        }
    }

    /// A script that runs this project's worker, with a fault from commit 6 on; commit 4 has no script, and no build.
    private static func engine(_ fault: String) -> String {
        """
        if [ $n -ge 6 ]; then fault='--inject \(fault)'; else fault=; fi
        echo "#!/bin/sh" > engine.sh
        echo "exec '\(Program.executable.path)' worker --device cpu $fault" >> engine.sh
        if [ $n = 4 ]; then rm engine.sh; fi
        echo /engine > .gitignore
        """
    }
    private static let building = ["--build", "cp engine.sh engine && chmod +x engine", "--engine", "worker=./engine"]

    @Test("the commit that changed a model's results is found, with the figures before and after")
    func results() throws {
        try withTemporaryFolder { folder in
            _ = try Program("generate", "--arch", "gpt2", "--seed", "1", "-o", "toy.gguf", in: folder)
            _ = try Program("results", "write", "--model", "toy.gguf", "--tokens", "1,2,3", "-o", "r.gguf", in: folder)
            let repository = try Repository(in: folder, Self.engine("gelu-quick"))
            let before = try repository.state()
            let program = try repository.bisect(Self.building + ["--results", "r.gguf", "--model", "toy.gguf"])
            #expect(program.status == 0, "\(program)")
            let found = try repository.git("rev-parse", "v6")
            #expect(program.output.contains("\nfirst bad commit: \(found)\n  change 6\n  Tester, "), "\(program)")
            let (good, bad) = try (repository.git("rev-parse", "v5").prefix(10), found.prefix(10))
            #expect(program.output.contains("\nlast good \(good): agrees: cpu against cpu, NMSE 0 in row "))
            #expect(program.output.contains("\nfirst bad \(bad): differs: cpu against cpu, NMSE "))
            #expect(program.output.contains("\n7 commits to choose from\n"))
            #expect(try repository.state() == before)
        }
    }

    @Test("the commit that broke a case is found, past one that does not build")
    func corpus() throws {
        try withTemporaryFolder { folder in
            let run = try Program(
                "run", "--arch", "gpt2", "--device", "cpu", "--check", "agrees", "--cases", "40", "--seed", "3",
                "--in-process", "--inject", "nan-on-seven-tokens", in: folder)
            #expect(run.status == 1)
            let name = try #require(FileManager.default.contentsOfDirectory(atPath: folder + "/Corpus").first)
            let repository = try Repository(in: folder, Self.engine("nan-on-seven-tokens"))
            let program = try repository.bisect(Self.building + ["--corpus", "Corpus/\(name)"])
            #expect(program.status == 0, "\(program)")
            #expect(program.output.contains("first bad commit: \(try repository.git("rev-parse", "v6"))"))
            let skipped = try repository.git("rev-parse", "v4").prefix(10)
            #expect(program.output.contains("skip \(skipped) change 4: does not build"))
            #expect(program.output.contains("passes on cpu") && program.output.contains("fails on cpu"), "\(program)")
        }
    }

    @Test("a detached HEAD stays where it is, and a file that the build changes is put back")
    func detached() throws {
        try withTemporaryFolder { folder in
            let repository = try Repository(in: folder, "true")
            _ = try repository.git("checkout", "-q", "--detach", "v3")
            let before = try repository.state()
            let test = "echo figure $(cat built); test $(cat built) -lt 3"
            let program = try repository.bisect(["--build", "cp n built; echo changed > n", "--test", test])
            #expect(program.status == 0, "\(program)")
            #expect(program.output.contains("  change 3\n"))
            #expect(program.output.contains(": figure 2\n") && program.output.hasSuffix(": figure 3\n"), "\(program)")
            #expect(program.errors.contains("note: n: has been changed by the build, and is put back"))
            // What a build makes stays.
            try FileManager.default.removeItem(atPath: repository.path + "/built")
            #expect(try repository.state() == before)
        }
    }

    @Test("where nothing is between good and bad, the bad one is the first")
    func neighbours() throws {
        try withTemporaryFolder { folder in
            let repository = try Repository(in: folder, "true")
            let before = try repository.state()
            let program = try repository.bisect(
                good: "v5", bad: "trunk~2", ["--build", "true", "--test", "cat n; test $(cat n) -lt 6"])
            #expect(program.status == 0, "\(program)")
            #expect(program.output.contains("first bad commit: \(try repository.git("rev-parse", "v6"))"), "\(program)")
            #expect(program.output.contains("last good \(try repository.git("rev-parse", "v5").prefix(10)): 5\n"))
            #expect(try repository.state() == before)
        }
    }

    @Test("files of a build that are in the way of what is tracked elsewhere do not keep the checkout from coming back")
    func filesInTheWay() throws {
        try withTemporaryFolder { folder in
            // Tracked at the end only, and made by every build.
            let repository = try Repository(in: folder, "if [ $n = 8 ]; then echo tracked > made; fi")
            let before = try repository.state()
            let program = try repository.bisect(
                bad: "v7", ["--build", "echo built > made", "--test", "test $(cat n) -lt 4"])
            #expect(program.status == 0 && program.output.contains("\n  change 4\n"), "\(program)")
            #expect(try repository.state() == before)
            let stuck = try repository.bisect(
                good: "v7", bad: "v8", ["--build", "echo built > made", "--test", "false"])
            #expect(stuck.status == 2 && stuck.errors.contains("is not good"), "\(stuck)")
            let blocked = try repository.bisect(
                good: "v7", bad: "v8", ["--build", "echo built > made", "--test", "true"])
            #expect(blocked.status == 2 && blocked.errors.contains("untracked working tree files"), "\(blocked)")
            #expect(try repository.state() == before)
        }
    }

    @Test("what skipped revisions hide is listed, and ends with status 1")
    func undecided() throws {
        try withTemporaryFolder { folder in
            let repository = try Repository(in: folder, "true")
            let test = "case $(cat n) in 1|2) exit 0;; 3|4|5) exit 125;; *) exit 1;; esac"
            let program = try repository.bisect(["--build", "true", "--test", test])
            #expect(program.status == 1, "\(program)")
            #expect(program.output.contains("the first bad commit is one of 4, which the skipped ones hide:"))
            for number in 3...6 { #expect(program.output.contains(" change \(number)\n")) }
        }
    }

    @Test("a test that hangs is bad, a build that hangs is skipped")
    func timeouts() throws {
        try withTemporaryFolder { folder in
            let repository = try Repository(in: folder, "true")
            let (build, test) = ("if [ $(cat n) = 6 ]; then sleep 99; fi", "if [ $(cat n) -ge 7 ]; then sleep 99; fi")
            let program = try repository.bisect(
                good: "v5", ["--build", build, "--test", test, "--timeout", "0.5s"])
            #expect(program.status == 1 && program.output.contains("the first bad commit is one of 2,"), "\(program)")
            #expect(program.output.contains("change 8: took too long\n"), "\(program)")
            #expect(program.output.contains("change 6: does not build: took too long\n"), "\(program)")
        }
    }

    @Test(
        "an interrupt ends it in order: the checkout is as it was, and how far it came is said",
        arguments: [SIGINT, SIGTERM])
    func interrupt(signal: Int32) throws {
        try withTemporaryFolder { folder in
            let repository = try Repository(in: folder, "true")
            let before = try repository.state()
            let test = "case $(cat n) in 1) exit 0;; 8) exit 1;; *) echo > ../started; sleep 100;; esac"
            let program = try repository.bisect(["--build", "true", "--test", test]) { process in
                wait { FileManager.default.fileExists(atPath: folder + "/started") }
                kill(process.processIdentifier, signal)
            }
            #expect(program.status == 128 + signal, "\(program)")
            let said = "interrupted after 2 revisions: the first bad commit is one of 7; engine-source is as it was\n"
            #expect(program.errors.contains(said), "\(program)")
            #expect(try repository.state() == before)
        }
    }

    @Test("what cannot be bisected is refused in one line, and nothing is touched")
    func refusals() throws {
        try withTemporaryFolder { folder in
            let repository = try Repository(in: folder, "true")
            let before = try repository.state()
            func expect(_ reason: String, good: String = "v1", bad: String = "v8", _ arguments: [String]) throws {
                let program = try repository.bisect(good: good, bad: bad, arguments)
                #expect(program.isRefusal && program.errors.contains(reason), "\(program)")
            }
            let plain = ["--build", "true", "--test", "false"]
            try expect("--good nothing: is no revision", good: "nothing", plain)
            try expect("--bad HEAD~9: is no revision", bad: "HEAD~9", plain)
            try expect("is no ancestor of the bad", good: "v8", bad: "v1", plain)
            try expect("one of --results, --corpus and --test", ["--build", "true"])
            let engine = ["--engine", "worker=x"]
            try expect("--results and --model go together", ["--build", "true", "--results", "r"] + engine)
            try expect("--engine says what", plain + ["--engine", "worker=x"])
            try expect("missing.gguf", [
                "--build", "true", "--results", "missing.gguf", "--model", "m", "--engine", "worker=x",
            ])
            try expect("x.json: no such file", ["--build", "true", "--corpus", "x.json", "--engine", "worker=x"])
            #expect(try repository.state() == before)

            for (test, reason) in [("false", "--good"), ("true", "--bad")] {
                let program = try repository.bisect(["--build", "true", "--test", test])
                #expect(program.status == 2 && program.errors.contains("\(reason) "), "\(program)")
                #expect(program.errors.contains(reason == "--good" ? "is not good: exit status 1" : "is not bad: "))
                #expect(try repository.state() == before)
            }

            try "changed".write(toFile: repository.path + "/n", atomically: true, encoding: .utf8)
            try expect("engine-source: has changes that are not committed (n)", plain)
            #expect(try String(contentsOfFile: repository.path + "/n", encoding: .utf8) == "changed")
            _ = try repository.git("checkout", "-q", "n")
            _ = try repository.git("bisect", "start", "v8", "v1")
            try expect("engine-source: a bisect is in progress", plain)
            _ = try repository.git("bisect", "reset")

            let nowhere = try Program(
                arguments: ["bisect", "--good", "a", "--bad", "b", "--repository", "/"] + plain, in: folder)
            #expect(nowhere.isRefusal && nowhere.errors.contains("/: is no checkout of a git repository"), "\(nowhere)")
        }
    }
}
