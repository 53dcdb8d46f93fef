import Foundation
import Testing

/// Small cases of few architectures: what is run here is built for debugging.
@Suite("Runs and corpus files on the command line")
struct RunTests {
    @Test("a run prints a line for each architecture, and leaves nothing behind")
    func happyPath() throws {
        try withTemporaryFolder { folder in
            let program = try Program("run", "--arch", "gpt2,mamba", "--device", "cpu", "--cases", "6", in: folder)
            #expect(program.status == 0 && program.errors.isEmpty, "\(program)")
            let rows = program.output.split(separator: "\n").map { $0.split(separator: " ") }
            #expect(rows.contains { $0.first == "gpt2" && $0[1] == "3" } && rows.contains { $0.first == "mamba" })
            #expect(program.output.contains("\n6 cases of seed 1, 6 verdicts, 0 failed, "))
            #expect(!FileManager.default.fileExists(atPath: folder + "/Corpus"))
        }
    }

    @Test("the cases are the same with any number of jobs, in shards, and in process")
    func sameCases() throws {
        try withTemporaryFolder { folder in
            func records(_ arguments: String...) throws -> [Record] {
                let log = UUID().uuidString
                let common = [
                    "run", "--arch", "gpt2,rwkv7", "--device", "cpu", "--cases", "8", "--seed", "3", "--json", log,
                ]
                let program = try Program(arguments: common + arguments, in: folder)
                #expect(program.status == 0, "\(program)")
                return try Record.read(folder + "/" + log)
            }
            let expected = try records("--jobs", "1", "--in-process")
            #expect(expected.map(\.index) == Array(0..<8))
            #expect(expected.allSatisfy { $0.seed == 3 && !$0.features.isEmpty })
            #expect(expected.allSatisfy { $0.verdicts.map(\.device) == ["cpu"] })
            #expect(expected.map(\.architecture) == (0..<8).map { $0 % 2 == 0 ? "gpt2" : "rwkv7" })
            #expect(try records("--jobs", "2") == expected)
            let shards = try records("--shard", "1/2") + records("--shard", "2/2")
            #expect(shards.map(\.index) == [0, 2, 4, 6, 1, 3, 5, 7])
            #expect(shards.sorted { $0.index < $1.index } == expected)
        }
    }

    @Test("any program that speaks the worker protocol is an engine, compared with our reference")
    func workers() throws {
        try withTemporaryFolder { folder in
            // A link, since a path may have spaces in it and the option separates arguments by them.
            try FileManager.default.createSymbolicLink(
                atPath: folder + "/engine", withDestinationPath: Program.executable.path)
            func run(_ arguments: String) throws -> Program {
                try Program(
                    arguments: [
                        "run", "--arch", "gpt2", "--device", "cpu", "--cases", "12", "--engine", "worker=\(arguments)"
                    ],
                    in: folder)
            }
            let sound = try run("./engine worker --device cpu")
            #expect(sound.status == 0 && sound.output.contains("12 verdicts, 0 failed"), "\(sound)")
            let broken = try run("./engine worker --device cpu --inject gelu-quick")
            #expect(broken.status == 1 && broken.output.contains("1. wrong numbers in gelu"), "\(broken)")
            #expect(try run("/bin/false").isRefusal)
            #expect(try run("").isRefusal)
        }
    }

    @Test("a fault is found, shrunk and kept; its file replays, and passes without the fault")
    func fault() throws {
        try withTemporaryFolder { folder in
            let run = try Program(
                arguments: Self.faulty + ["--json", "log"], in: folder)
            #expect(run.status == 1)
            let finding = "1. wrong numbers outside the blocks on cpu\n"
                + "   gpt2, agrees: 1 layer, 7 tokens: process 7 tokens\n"
            #expect(run.output.contains(finding), "\(run)")
            #expect(run.errors.contains("failed: agrees: gpt2 on cpu: not finite in process, case "))
            let verdicts = try Record.read(folder + "/log").flatMap(\.verdicts)
            let failure = try #require(verdicts.first { $0.outcome == "fail" })
            #expect(failure.kind == "not finite" && failure.stage == "process")

            let file = "Corpus/wrong-numbers-outside-the-blocks-on-cpu-with-nan-on-seven-tokens.json"
            #expect(run.output.contains("   gguf-fuzz replay \(file)\n"))
            let replayed = try Program("replay", "Corpus", in: folder)
            #expect(replayed.status == 1, "\(replayed)")
            #expect(replayed.output.contains("\(file): fails on cpu as recorded: row "), "\(replayed)")
            let mended = try Program("replay", file, "--inject", "none", in: folder)
            #expect(mended.status == 0 && mended.output.contains("\(file): passes on cpu"), "\(mended)")

            let shown = try Program("show", file, in: folder)
            #expect(shown.status == 0 && shown.output.contains("with the fault nan-on-seven-tokens"))
            #expect(shown.output.contains("  0  process 7 tokens\n     ids 0 0 0 0 0 0 0*\n"))

            let exported = try Program("export", file, "-o", "model.gguf", in: folder)
            #expect(exported.status == 0)
            #expect(exported.output.contains("llama-results --model model.gguf --prompt '<0><0><0><0><0><0><0>' "))
            #expect(try Program("show", "model.gguf", in: folder).output.contains("tokenizer.ggml.tokens"))

            let again = try Program("shrink", file, "-o", "again.json", in: folder)
            #expect(again.status == 1 && again.output.contains("again.json: 1 layer, 7 tokens"), "\(again)")
            let passing = try Program("shrink", file, "-o", "passing.json", "--inject", "none", in: folder)
            #expect(passing.status == 0 && !FileManager.default.fileExists(atPath: folder + "/passing.json"))

            let text = try String(contentsOfFile: folder + "/" + file, encoding: .utf8)
            // A finding that is waited for explains itself.
            try text.replacing("\n  \"seen\"", with: "\n  \"known\": {},\n  \"seen\"")
                .write(toFile: folder + "/known.json", atomically: true, encoding: .utf8)
            let explained = try Program("replay", file, "--known", "known.json", in: folder)
            #expect(explained.status == 0, "\(explained)")
            #expect(explained.output.contains("\(file): fails on cpu, known: known.json\n"), "\(explained)")
            #expect(explained.output.contains("1 file: 0 passed, 0 failed, 1 known, 0 discarded"), "\(explained)")
            let waited = try Program("shrink", file, "-o", "waited.json", "--known", "known.json", in: folder)
            #expect(waited.status == 0 && waited.output.contains("  known on cpu: known.json\n"), "\(waited)")
            // What nobody can be asked for is refused on one line.
            try text.replacing("\"positions\": [0, 1, 2", with: "\"positions\": [0, 2, 1")
                .write(toFile: folder + "/illegal.json", atomically: true, encoding: .utf8)
            let illegal = try Program("shrink", "illegal.json", "-o", "x.json", in: folder)
            #expect(illegal.isRefusal, "\(illegal)")
            #expect(
                illegal.errors.contains(
                    "illegal.json: case.script.steps[0].process: position 1 of sequence 0, which goes on at 3"))
        }
    }

    /// A run that fails, in whatever case, and shrinks fast.
    private static let faulty = [
        "run", "--arch", "gpt2", "--device", "cpu", "--check", "agrees", "--cases", "40", "--seed", "3",
        "--in-process", "--inject", "nan-on-seven-tokens",
    ]

    @Test("a GGUF file's model is shrunk with cases about it")
    func shrinkingModel() throws {
        try withTemporaryFolder { folder in
            _ = try Program("generate", "--arch", "gpt2", "--seed", "1", "-o", "toy.gguf", in: folder)
            let arguments = [
                "shrink", "toy.gguf", "--device", "cpu", "--check", "agrees", "--in-process", "-o", "x.json",
            ]
            let passing = try Program(arguments: arguments + ["--cases", "2"], in: folder)
            #expect(passing.status == 0, "\(passing)")
            #expect(passing.output.contains("toy.gguf: nothing failed in 2 cases"), "\(passing)")
            let failing = try Program(arguments: arguments + ["--inject", "nan-on-seven-tokens"], in: folder)
            #expect(failing.status == 1, "\(failing)")
            #expect(failing.output.contains("x.json: 1 layer, 7 tokens: process 7 tokens"), "\(failing)")
        }
    }

    @Test("what cannot be kept is printed")
    func unwritableCorpus() throws {
        try withTemporaryFolder { folder in
            // A file where the folder should be.
            try Data().write(to: URL(fileURLWithPath: folder + "/Corpus"))
            let program = try Program(arguments: Self.faulty, in: folder)
            #expect(program.status == 2)
            #expect(program.output.contains("   not kept: Corpus: cannot be made a folder: "), "\(program)")
            let text = try #require(program.output.split(separator: "\n{", maxSplits: 1).last.map { "{" + $0 })
            let end = try #require(text.range(of: "\n}\n"))
            try Data(text[..<end.upperBound].utf8).write(to: URL(fileURLWithPath: folder + "/printed.json"))
            #expect(try Program("replay", "printed.json", in: folder).status == 1)
        }
    }

    @Test("corpus files that cannot be read or break the rules are named, and the others replayed")
    func corruptCorpus() throws {
        try withTemporaryFolder { folder in
            _ = try Program(arguments: Self.faulty, in: folder)
            let names = try FileManager.default.contentsOfDirectory(atPath: folder + "/Corpus")
            let text = try String(contentsOfFile: folder + "/Corpus/\(try #require(names.first))", encoding: .utf8)
            func write(_ name: String, _ text: some StringProtocol) throws {
                try String(text).write(toFile: folder + "/Corpus/\(name)", atomically: true, encoding: .utf8)
            }
            try write("a.json", text.prefix(text.count / 2))
            try write("b.json", text.replacingOccurrences(of: "\"process\"", with: "\"proces\""))
            try write("c.json", text.replacingOccurrences(of: "nan-on-seven-tokens", with: "nan-on-nine-tokens"))
            try write("d.json", text.replacingOccurrences(of: "\"gpt2.block_count\"", with: "\"gpt2.blocks\""))
            // More memory than a machine has.
            let wide = try #require(text.firstMatch(of: /("gpt2.embedding_length", "type": "uint32", "value": )\d+/))
            try write("e.json", text.replacing(wide.output.0, with: wide.output.1 + "1048576"))
            let program = try Program("replay", "Corpus", in: folder)
            #expect(program.status == 2)
            for name in ["a", "b", "c", "d", "e"] {
                #expect(program.errors.contains("gguf-fuzz: Corpus/\(name).json: "), "\(program)")
            }
            #expect(program.errors.count { $0 == "\n" } == 5)
            #expect(program.errors.contains("d.json: case.metadata: gpt2.block_count: is missing"))
            #expect(program.output.contains("\(names[0]): fails on cpu as recorded"))
            #expect(program.output.contains("6 files: 0 passed, 1 failed, 0 discarded, 5 not read"))
        }
    }

    @Test("crashes, hangs and endless memory are failures of a case, not the end of the run", arguments: [
        ("crash-on-nine-tokens", "agrees", "ended by SIGABRT: assertion failed: tokens <= 8, in attention"),
        ("hang-on-two-sequences", "isolation", "gave no answer within 0.5 seconds"),
        ("memory-without-end", "agrees", "grew past 256 MiB"),
    ])
    func deaths(fault: String, check: String, seen: String) throws {
        try withTemporaryFolder { folder in
            // Any two sequences hang; many tokens are not as common.
            let cases = fault.hasPrefix("hang") ? "2" : "25"
            let program = try Program(
                "run", "--arch", "gpt2", "--device", "cpu", "--cases", cases, "--check", check, "--inject", fault,
                "--jobs", "1", "--time-limit", fault.hasPrefix("hang") ? "0.5s" : "60s", "--memory-limit", "256M",
                "--shrink-time", "0.5s", in: folder)
            #expect(program.status == 1)
            #expect(program.output.contains("   \(seen)\n"), "\(program)")
            #expect(program.output.contains("\n\(cases) cases of seed 1, \(cases) verdicts, "))
        }
    }

    @Test("an interrupt ends a run in order, with the summary", arguments: [SIGINT, SIGTERM, SIGHUP])
    func interrupt(signal: Int32) throws {
        try withTemporaryFolder { folder in
            let arguments = ["run", "--arch", "gpt2", "--device", "cpu", "--time", "1h", "--jobs", "1", "--json", "log"]
            let program = try Program(arguments: arguments, in: folder) { process in
                wait { (try? Data(contentsOf: URL(fileURLWithPath: folder + "/log")))?.isEmpty == false }
                kill(process.processIdentifier, signal)
            }
            #expect(program.status == 128 + signal)
            #expect(program.output.contains("\ninterrupted: "), "\(program)")
            #expect(program.output.contains(" cases of seed 1, "), "\(program)")
        }
    }

    #if os(Linux)
        @Test("a run that is killed leaves no worker behind, not even one that hangs")
        func orphans() throws {
            try withTemporaryFolder { folder in
                let arguments = [
                    "run", "--arch", "gpt2", "--check", "isolation", "--inject", "hang-on-two-sequences", "--jobs", "2",
                ]
                var workers: [Int32] = []
                _ = try Program(arguments: arguments, in: folder) { process in
                    wait {
                        workers = children(of: process.processIdentifier)
                        return workers.count >= 2
                    }
                    // Time to begin the case that hangs.
                    Thread.sleep(forTimeInterval: 1)
                    workers = children(of: process.processIdentifier)
                    kill(process.processIdentifier, SIGKILL)
                }
                #expect(workers.count == 2)
                wait { workers.allSatisfy { kill($0, 0) != 0 } }
                #expect(workers.allSatisfy { kill($0, 0) != 0 })
            }
        }

        @Test("an interrupt is acknowledged, and ends engines that go on computing")
        func interruptedHang() throws {
            try withTemporaryFolder { folder in
                let arguments = [
                    "run", "--arch", "gpt2", "--check", "isolation", "--inject", "hang-on-two-sequences", "--jobs", "2",
                    "--device", "cpu",
                ]
                let program = try Program(arguments: arguments, in: folder) { process in
                    wait { children(of: process.processIdentifier).count >= 2 }
                    Thread.sleep(forTimeInterval: 1)
                    kill(process.processIdentifier, SIGINT)
                }
                #expect(program.status == 130)
                #expect(program.errors.hasPrefix("finishing; again to stop now\n"), "\(program)")
                #expect(
                    program.output.contains("\ninterrupted: ") && program.output.contains(" 0 failed"), "\(program)")
            }
        }

        @Test("a log that cannot be written is said, and the run goes on without it")
        func fullDisk() throws {
            try withTemporaryFolder { folder in
                let program = try Program(
                    "run", "--arch", "gpt2", "--device", "cpu", "--cases", "2", "--json", "/dev/full", in: folder)
                #expect(program.status == 2, "\(program)")
                #expect(program.errors.contains("/dev/full: cannot be written: No space left on device"), "\(program)")
                #expect(program.output.contains("\n2 cases of seed 1, 2 verdicts, 0 failed"), "\(program)")
            }
        }

        @Test("output that cannot be written gives status 2, with a line that says so")
        func fullOutput() throws {
            try withTemporaryFolder { folder in
                let shell = try Tool(
                    "/bin/sh", ["-c", "'\(Program.executable.path)' faults --list >/dev/full"], in: folder)
                #expect(shell.status == 2)
                #expect(shell.errors == "gguf-fuzz: standard output: cannot be written: No space left on device\n")
            }
        }

        private func children(of parent: Int32) -> [Int32] {
            let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
            return names.compactMap { Int32($0) }.filter { process in
                let status = try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)
                return status?.contains("PPid:\t\(parent)\n") ?? false
            }
        }
    #endif

    @Test("a run that is killed again and again comes to what one comes to that nobody disturbs")
    func killedRuns() throws {
        try withTemporaryFolder { folder in
            func arguments(_ name: String) -> [String] {
                Array(Self.faulty.filter { $0 != "--in-process" }) + ["--jobs", "1", "--run", name]
            }
            let whole = try Program(arguments: arguments("whole"), in: folder)
            #expect(whole.status == 1, "\(whole)")
            let expected = try Record.read(folder + "/whole/log.jsonl")
            #expect(expected.map(\.index) == Array(0..<40))
            for kills in 1...6 {
                _ = try Program(arguments: arguments("killed"), in: folder) { process in
                    // It is killed once the log has grown by a few lines, wherever it is then.
                    let path = folder + "/killed/log.jsonl"
                    wait { (try? Data(contentsOf: URL(fileURLWithPath: path)))?.count { $0 == 10 } ?? 0 >= 6 * kills }
                    kill(process.processIdentifier, SIGKILL)
                }
            }
            let killed = try Program(arguments: arguments("killed"), in: folder)
            #expect(killed.errors.hasPrefix("killed: goes on after "), "\(killed)")
            #expect(try Record.read(folder + "/killed/log.jsonl") == expected)
            func said(_ program: Program) -> String {
                program.output.replacing("killed/", with: "whole/").replacing(/, [0-9.]+ cases\/s.*/, with: "")
            }
            #expect(killed.status == 1 && said(killed) == said(whole), "\(killed)")
            let names = try FileManager.default.contentsOfDirectory(atPath: folder + "/whole/corpus")
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder + "/killed/corpus") == names)
            // What is done is done.
            let again = try Program(arguments: arguments("killed"), in: folder)
            #expect(again.status == 1 && again.errors == "killed: is done after 40 cases\n", "\(again)")
            #expect(again.output == killed.output)
        }
    }

    @Test("shards have folders, which merge makes one of; what does not fit is refused")
    func shardFolders() throws {
        try withTemporaryFolder { folder in
            let common = ["run", "--arch", "gpt2", "--device", "cpu", "--cases", "4", "--in-process"]
            for shard in ["1", "2"] {
                let program = try Program(
                    arguments: common + ["--shard", "\(shard)/2", "--run", "night/\(shard)"], in: folder)
                #expect(program.status == 0, "\(program)")
            }
            let merged = try Program("merge", "night/1", "night/2", "-o", "night/all", in: folder)
            #expect(merged.status == 0)
            let said = "night/all: 2 of 2 shards, 4 cases, 4 verdicts, 0 failed, 0 findings\n"
            #expect(merged.output == said, "\(merged)")
            let refused = [
                ["merge", "night/1", "night/1", "-o", "x"], ["merge", "night/1", "nowhere", "-o", "x"],
                ["merge", "night/1", "night/2", "-o", "night/all"], ["merge", "night", "-o", "x"],
                common + ["--shard", "2/2", "--run", "night/1"], common + ["--run", "night/all"],
                common + ["--shard", "1/2", "--run", "night/1", "--log", "failures"],
                common + ["--run", "night/1", "--corpus", "x"], common + ["--log", "all"], common + ["--run", ""],
            ]
            for arguments in refused {
                let program = try Program(arguments: arguments, in: folder)
                #expect(program.isRefusal, "\(arguments): \(program)")
            }
            #expect(!FileManager.default.fileExists(atPath: folder + "/x"))
        }
    }

    #if os(Linux)
        @Test("a log for which there is no more room is said; the run ends with its summary, and goes on later")
        func fullFolder() throws {
            try withTemporaryFolder { folder in
                let arguments = [
                    "run", "--arch", "gpt2", "--device", "cpu", "--cases", "30", "--check", "agrees", "--in-process",
                    "--jobs", "1", "--run", "night",
                ]
                // A limit of the size of files stands for a full disk.
                let shell = "trap '' XFSZ; ulimit -f 8; exec '\(Program.executable.path)' "
                    + arguments.joined(separator: " ")
                let full = try Tool("/bin/bash", ["-c", shell], in: folder)
                #expect(full.status == 2)
                #expect(
                    full.errors == "gguf-fuzz: night/log.jsonl: cannot be written: File too large; the run goes on, "
                        + "and tries again\ngguf-fuzz: night/log.jsonl: cannot be written: File too large; what it "
                        + "has stays, and the same command goes on from there\n")
                let count = try Record.read(folder + "/night/log.jsonl").count
                #expect(count > 0 && count < 30 && full.output.contains("\n30 cases of seed 1, "), "\(full)")
                let program = try Program(arguments: arguments, in: folder)
                #expect(program.status == 0 && program.errors == "night: goes on after \(count) cases\n", "\(program)")
                #expect(try Record.read(folder + "/night/log.jsonl").map(\.index) == Array(0..<30))
                #expect(try Program(arguments: arguments.dropLast() + ["/proc/night"], in: folder).isRefusal)
            }
        }
    #endif

    @Test("a profile gives options, and the command line goes before it")
    func profile() throws {
        try withTemporaryFolder { folder in
            try FileManager.default.createDirectory(atPath: folder + "/Fuzz", withIntermediateDirectories: true)
            for name in ["ours", "theirs"] {
                try FileManager.default.createDirectory(atPath: folder + "/" + name, withIntermediateDirectories: true)
            }
            try "arch: [gpt2, mamba]\nknown: [ours, theirs]\ndevice: cpu\ntime: 8h\nseed: 7\nin-process: true\n".write(
                toFile: folder + "/Fuzz/mine.yaml", atomically: true, encoding: .utf8)
            let program = try Program("run", "--profile", "mine", "--cases", "2", "--arch", "gpt2", in: folder)
            #expect(program.status == 0 && program.output.contains("\n2 cases of seed 7, 2 verdicts"), "\(program)")
            #expect(!program.output.contains("mamba"))
        }
    }

    @Test("the program has its profiles in itself, and can be run with each")
    func ownProfiles() throws {
        let profiles = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../Sources/gguf-fuzz/Profiles")
        let names = try FileManager.default.contentsOfDirectory(atPath: profiles.standardized.path)
            .map { $0.replacing(".yaml", with: "") }
        #expect(names.count >= 3)
        try withTemporaryFolder { folder in
            for name in names {
                let program = try Program(
                    "run", "--profile", name, "--cases", "1", "--arch", "gpt2", "--device", "cpu", in: folder)
                #expect(program.status == 0, "\(name): \(program)")
            }
            let unknown = try Program("run", "--profile", "daily", in: folder)
            let all = "the program's own are \(names.sorted().joined(separator: ", "))\n"
            #expect(unknown.isRefusal && unknown.errors.hasSuffix(all), "\(unknown)")
        }
    }

    @Test("what is wrong with a profile is said with file and key", arguments: [
        ("seed: 1\nsheed: 2\n", "p.yaml: line 2: sheed: "),
        ("jobs: 0\n", "p.yaml: line 1: jobs: --jobs 0: must be"),
        ("time: soon\n", "p.yaml: line 1: time: "),
        ("seed: {a: 1}\n", "p.yaml: line 1: seed: has no value"),
        ("in-process: perhaps\n", "p.yaml: line 1: in-process: is neither true nor false"),
        ("cases: 1\ntime: 1h\n", "p.yaml: --cases and --time"),
        ("- seed\n", "p.yaml: is no mapping"),
        ("seed: [1\n", "p.yaml: no YAML: "),
        (String(repeating: "[", count: 50_000), "p.yaml: no YAML: "),
        ("engine: [\(String(repeating: "builtin, ", count: 65))]\n", "p.yaml: line 1: engine: lists 65; at most 64"),
    ])
    func badProfiles(text: String, named: String) throws {
        try withTemporaryFolder { folder in
            try text.write(toFile: folder + "/p.yaml", atomically: true, encoding: .utf8)
            let program = try Program("run", "--profile", "p.yaml", in: folder)
            #expect(program.isRefusal && program.errors.contains(named), "\(program)")
            #expect(program.errors.count < 1000)
        }
    }
}

/// A line of the log of `--json`.
private struct Record: Decodable, Equatable {
    struct Verdict: Decodable, Equatable {
        var device: String
        var outcome: String
        var reason: String?
        var stage: String?
        var kind: String?
        var seen: String?
        var noise: Double?
    }
    var index: Int
    var seed: UInt64
    var architecture: String
    var check: String
    var layers: Int
    var tokens: Int
    var features: [String]
    var verdicts: [Verdict]

    static func read(_ path: String) throws -> [Record] {
        // A run's folder has other lines among them.
        let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
        return try lines.filter { $0.hasPrefix("{\"architecture\"") }.map {
            try JSONDecoder().decode(Record.self, from: Data($0.utf8))
        }
    }
}
