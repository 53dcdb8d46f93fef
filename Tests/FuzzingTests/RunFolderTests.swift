import Architectures
import Devices
import Engines
import Faults
import Foundation
import Inference
import Testing

@testable import Fuzzing

@Suite("A run's folder")
struct RunFolderTests {
    /// A run with a fault in it, one case at a time: what it comes to depends on nothing else.
    private struct Setting {
        var fault = "outputs-beyond-eight-lost"
        var architectures: [any Architecture.Type] = [GPT2.self]
        var cases: UInt64 = 18
        var shard: (number: UInt64, count: UInt64) = (1, 1)
        var log = RunPlan.LogDetail.all

        var plan: RunPlan {
            RunPlan(
                version: "1", program: "", seed: 1, cases: cases, seconds: nil, shard: shard.number,
                shardCount: shard.count, architectures: architectures.map { $0.name }, checks: ["agrees"],
                devices: ["cpu"], engines: [], log: log)
        }

        /// - Returns: what the run says, without what the corpus files are called.
        @discardableResult
        func run(in path: String, isCancelled: @escaping @Sendable () -> Bool = { false }) throws -> [[String]] {
            let fault = try FaultCatalogue.named(fault)
            let fuzzPlan = FuzzPlan(
                seed: 1, architectures: architectures, checks: [.agrees], devices: ["cpu"],
                placeable: ["reference", "cpu"])
            var run = FuzzRun(fuzzPlan, .cases(cases), jobs: 1) {
                EngineSet(BuiltinEngine(DeviceSet([ReferenceDevice(), CPUDevice()]), fault: fault))
            }
            let folder = RunFolder(path)
            run.log = try folder.open(plan)
            run.corpus = Corpus(folder: folder.corpusPath)
            run.shard = (shard.number - 1, shard.count)
            (run.budget, run.patience) = (10, nil)
            return try run.run(isCancelled: isCancelled).findings.map { finding in
                finding.lines(replay: "").filter { !$0.hasPrefix(" ") }
            }
        }
    }

    /// Without what depends on the clock.
    private func lines(_ path: String) throws -> [String] {
        try String(contentsOfFile: path + "/log.jsonl", encoding: .utf8).split(separator: "\n").map {
            String($0).replacing(/"(elapsed|milliseconds)":[0-9.e-]+,?/, with: "")
        }
    }

    private func corpus(_ path: String) throws -> [String: Data] {
        let names = try FileManager.default.contentsOfDirectory(atPath: path + "/corpus")
        return Dictionary(uniqueKeysWithValues: try names.map {
            ($0, try Data(contentsOf: URL(fileURLWithPath: "\(path)/corpus/\($0)")))
        })
    }

    private func read(_ path: String) throws -> RunSummary { try RunFolder.read(URL(fileURLWithPath: path)).summary }

    // MARK: Going on

    @Test("wherever its log is cut off, the run that goes on comes to the same", arguments: [
        RunPlan.LogDetail.all, .failures,
    ])
    func cutLogs(log: RunPlan.LogDetail) throws {
        try withTemporaryFolder { folder in
            let setting = Setting(log: log)
            let whole = folder + "/whole"
            let said = try setting.run(in: whole)
            let (expected, files) = (try lines(whole), try corpus(whole))
            let summary = try read(whole)
            #expect(said.count == 1 && files.count == 1 && summary.isComplete && summary.unexplained == 0)
            #expect(summary.tally.cases == 18 && summary.tally.failures == 3)
            let data = try Data(contentsOf: URL(fileURLWithPath: whole + "/log.jsonl"))
            // Some cuts are in the midst of lines, others between them; the last is after all of it.
            let cuts = Array(stride(from: 0, to: data.count, by: data.count / 4)) + [data.count]
            let ends = data.indices.filter { data[$0] == UInt8(ascii: "\n") }.map { $0 + 1 }
            let states = ends.filter { data[$0...].starts(with: #"{"finding""#.utf8) }
            #expect(!states.isEmpty)
            for cut in cuts + states {
                let path = "\(folder)/\(cut)"
                try FileManager.default.copyItem(atPath: whole, toPath: path)
                try data.prefix(cut).write(to: URL(fileURLWithPath: path + "/log.jsonl"))
                #expect(try setting.run(in: path) == said, "cut at \(cut)")
                #expect(try corpus(path) == files, "cut at \(cut)")
                let again = try read(path)
                #expect(again.tally == summary.tally && again.isComplete, "cut at \(cut)")
                #expect(again.findings.map(\.sightings) == summary.findings.map(\.sightings), "cut at \(cut)")
                // What is counted may be counted in other portions, and files that are there are not made again.
                func withoutFiles(_ lines: [String]) -> [String] { lines.filter { !$0.hasPrefix(#"{"file""#) } }
                if log == .all { #expect(try withoutFiles(lines(path)) == withoutFiles(expected), "cut at \(cut)") }
            }
        }
    }

    @Test("whenever it is interrupted, also while it shrinks, the run that goes on comes to the same")
    func interrupts() throws {
        final class Countdown: @unchecked Sendable {
            // Counted by the one thread of the run.
            var left: Int
            init(_ left: Int) { self.left = left }
            func isOver() -> Bool {
                left -= 1
                return left < 0
            }
        }
        try withTemporaryFolder { folder in
            let setting = Setting()
            let said = try setting.run(in: folder + "/whole")
            let (expected, files) = (try lines(folder + "/whole"), try corpus(folder + "/whole"))
            var sessions = 0
            var isDone = false
            while !isDone {
                sessions += 1
                let countdown = Countdown(16 * sessions)
                try setting.run(in: folder + "/cut") { countdown.isOver() }
                isDone = countdown.left >= 0
            }
            #expect(sessions > 3)
            #expect(try setting.run(in: folder + "/cut") == said)
            #expect(try lines(folder + "/cut") == expected)
            #expect(try corpus(folder + "/cut") == files)
        }
    }

    @Test("is not the folder of another plan, nor of two processes")
    func refusals() throws {
        try withTemporaryFolder { folder in
            let path = folder + "/run"
            let plan = Setting().plan
            let log = try RunFolder(path).open(plan)
            #expect(throws: CorpusError(path: path, reason: "another process runs it")) {
                try RunFolder(path).open(plan)
            }
            log.finish(isComplete: false)
            var other = plan
            other.seed = 4
            #expect(throws: CorpusError(path: path, reason: "is of another run: --seed is 1 there, 4 here")) {
                try RunFolder(path).open(other)
            }
            other = plan
            other.options["inject"] = "gelu-quick"
            let inject = "is of another run: --inject is not given there, gelu-quick here"
            #expect(throws: CorpusError(path: path, reason: inject)) { try RunFolder(path).open(other) }
            // Elsewhere it may go on.
            other = plan
            other.machines = [.current]
            #expect(plan.difference(from: other) == nil)
            // A folder of something else keeps what it has.
            try FileManager.default.createDirectory(atPath: folder + "/mine/corpus", withIntermediateDirectories: true)
            #expect(throws: CorpusError.self) { try RunFolder(folder + "/mine").open(plan) }
        }
    }

    @Test("a log with lines that are none of the run is refused by the line, and stays as it is", arguments: [
        ("hello", "The given data was not valid JSON."),
        ("{}", "neither a case nor what became of a finding"),
        (#"{"joined":{"number":7,"with":8}}"#, "joins a finding with one that there is not"),
        (#"{"index":0,"seed":1,"architecture":"gpt2"}"#, "layers is missing"),
        (#"{"architecture":"a","features":[],"index":1,"layers":1,"milliseconds":0,"seed":4,"tokens":1,"verdicts":[]}"#,
            "is of seed 4"),
        (#"{"architecture":"a","features":[],"index":7,"layers":1,"milliseconds":0,"seed":1,"tokens":1,"verdicts":[]}"#,
            "has case 7, which is none of the plan"),
        (#"{"architecture":"a","features":[],"index":0,"layers":1,"milliseconds":0,"seed":1,"tokens":1,"verdicts":[]}"#,
            "has case 0 again"),
    ])
    func foreignLines(text: String, reason: String) throws {
        try withTemporaryFolder { folder in
            let setting = Setting(cases: 2)
            try setting.run(in: folder)
            let log = URL(fileURLWithPath: folder + "/log.jsonl")
            var data = try Data(contentsOf: log)
            data += Data("\(text)\n".utf8)
            try data.write(to: log)
            let number = data.count { $0 == UInt8(ascii: "\n") }
            let expected = CorpusError(
                path: log.path, reason: "line \(number): is no record of a run: \(reason)")
            #expect(throws: expected) { try setting.run(in: folder) }
            #expect(throws: expected) { try read(folder) }
            #expect(try Data(contentsOf: log) == data)
        }
    }

    @Test("is read while its last line is being written")
    func tornLine() throws {
        try withTemporaryFolder { folder in
            try Setting(cases: 3).run(in: folder)
            let log = URL(fileURLWithPath: folder + "/log.jsonl")
            let data = try Data(contentsOf: log) + Data(#"{"architecture":"gp"#.utf8)
            try data.write(to: log)
            let record = try RunFolder.read(URL(fileURLWithPath: folder))
            #expect(record.tornBytes == 19 && record.summary.tally.cases == 3)
            #expect(try Data(contentsOf: log) == data)
        }
    }

    @Test("going on takes away what the run has made, and nothing of anybody else's")
    func foreignFiles() throws {
        try withTemporaryFolder { folder in
            let setting = Setting()
            try setting.run(in: folder)
            let files = try corpus(folder)
            let name = try #require(files.keys.first)
            // One of the run's is there under an earlier name, as when it was killed; others are somebody's.
            let log = URL(fileURLWithPath: folder + "/log.jsonl")
            let data = try Data(contentsOf: log)
            try (data + Data("{\"file\":\"earlier.json\"}\n".utf8)).write(to: log)
            for other in ["earlier.json", "copy of \(name)", "notes.txt"] {
                try #require(files[name]).write(to: URL(fileURLWithPath: "\(folder)/corpus/\(other)"))
            }
            try setting.run(in: folder)
            #expect(try corpus(folder).keys.sorted() == [name, "copy of \(name)", "notes.txt"].sorted())
            try (data + Data("{\"file\":\"../plan.json\"}\n".utf8)).write(to: log)
            #expect(throws: CorpusError.self) { try setting.run(in: folder) }
        }
    }

    @Test("a corpus file that was there before the run is not taken away when the finding gets another name")
    func filesThatWereThere() throws {
        try withTemporaryFolder { folder in
            let setting = Setting()
            try setting.run(in: folder + "/first")
            let lines = try lines(folder + "/first").filter { $0.hasPrefix("{\"file\"") }
            #expect(lines.count > 1)
            let early = try #require(lines.first?.split(separator: "\"").last { $0.hasSuffix(".json") })
            // A plan, and a corpus of somebody's.
            _ = try RunFolder(folder + "/second").open(setting.plan)
            let corpus = Corpus(folder: folder + "/second/corpus")
            let name = try #require(self.corpus(folder + "/first").keys.first)
            let entry = try CorpusEntry(path: "\(folder)/first/corpus/\(name)")
            try FileManager.default.createDirectory(atPath: corpus.folder, withIntermediateDirectories: true)
            try entry.write(to: "\(corpus.folder)/\(early)")
            try setting.run(in: folder + "/second")
            #expect(try self.corpus(folder + "/second").keys.contains(String(early)))
        }
    }

    #if os(Linux)
        @Test("what cannot be written waits, and is written once there is room")
        func fullDisk() throws {
            try withTemporaryFolder { folder in
                let setting = Setting(cases: 8)
                // A disk that is full, until another one is put in its place.
                let path = folder + "/full"
                _ = try RunFolder(path).open(setting.plan)
                let descriptor = open("/dev/full", O_WRONLY | O_CLOEXEC)
                let log = RunLog(RunFolder(path), setting.plan, PastRun(setting.plan), descriptor: descriptor, length: 0)
                let told = Told()
                log.tell = { told.add($0?.reason ?? "again") }
                for index in 0..<8 as Range<UInt64> {
                    var record = CaseRecord(index: index, architecture: "gpt2")
                    record.check = .agrees
                    let failure = Failure(
                        signature: Signature(
                            check: .agrees, device: "cpu", architecture: "gpt2", stage: "process", kind: "SIGSEGV",
                            frames: ["f"]), seen: "")
                    record.verdicts = [Verdict(device: "cpu", outcome: index == 5 ? .failed(failure) : .passed)]
                    log.append(record, explained: [:], after: .milliseconds(index))
                }
                #expect(log.problem?.reason == "cannot be written: No space left on device")
                let room = open(path + "/log.jsonl", O_WRONLY | O_APPEND)
                #expect(dup2(room, descriptor) == descriptor)
                close(room)
                log.finish(isComplete: true)
                #expect(log.problem == nil && told.all == ["cannot be written: No space left on device", "again"])
                let all = try read(path)
                #expect(all.tally.cases == 8 && all.tally.failures == 1 && all.isComplete && all.unexplained == 1)
                // Only what failed, and what was to be written when it was first tried, has a line of its own.
                #expect(try lines(path).filter { $0.hasPrefix("{\"architecture") }.count == 2)
            }
        }

        private final class Told: @unchecked Sendable {
            // Of one thread.
            private(set) var all: [String] = []
            func add(_ reason: String) { all.append(reason) }
        }
    #endif

    // MARK: Merging

    @Test("those of all shards, merged, are that of the whole run", arguments: [RunPlan.LogDetail.all, .failures])
    func merging(log: RunPlan.LogDetail) throws {
        try withTemporaryFolder { folder in
            let fault = "output-rows-reversed"
            try Setting(fault: fault, log: log).run(in: folder + "/whole")
            for number in 1...3 as ClosedRange<UInt64> {
                try Setting(fault: fault, shard: (number, 3), log: log).run(in: "\(folder)/\(number)")
            }
            let shards = (1...3).map { RunFolder("\(folder)/\($0)") }
            try RunMerge(Array(shards[..<2])).write(to: RunFolder(folder + "/some"))
            let some = try read(folder + "/some")
            #expect(some.plan.shards == [1, 2] && some.isComplete && some.tally.cases == 12)
            let said = try RunMerge([RunFolder(folder + "/some"), shards[2]]).write(to: RunFolder(folder + "/all"))
            let (whole, all) = (try read(folder + "/whole"), try read(folder + "/all"))
            #expect(all.tally == said.tally && all.findings.map(\.key) == said.findings.map(\.key))
            #expect(all.tally == whole.tally && all.isComplete && all.plan.shards == [1, 2, 3])
            #expect(all.findings.map(\.key) == whole.findings.map(\.key))
            #expect(all.findings.map(\.sightings) == whole.findings.map(\.sightings))
            #expect(try corpus(folder + "/all").keys == corpus(folder + "/whole").keys)
            // The smallest is as small as that of any shard.
            let kept = try CorpusEntry(path: folder + "/all/" + (all.findings.first?.file ?? ""))
            for shard in shards {
                for finding in try read(shard.path).findings {
                    #expect(!(try CorpusEntry(path: "\(shard.path)/\(finding.file ?? "")").isSimpler(than: kept)))
                }
            }
            if log == .all {
                let cases = try lines(folder + "/all").filter { $0.hasPrefix("{\"architecture") }
                // What a finding explains is not sampled for as long as the finding itself is.
                func plain(_ lines: [String]) -> [String] {
                    let sampled = /"noise":[0-9.e+]+,(?="outcome":"fail")|"seen":"[^"]*",/
                    return lines.map { $0.replacing(/"finding":[0-9]+,/, with: "").replacing(sampled, with: "") }
                }
                #expect(plain(cases) == plain(try lines(folder + "/whole").filter { $0.hasPrefix("{\"architecture") }))
            }
        }
    }

    @Test("those of other runs, or of one shard twice, are not merged")
    func conflicts() throws {
        try withTemporaryFolder { folder in
            func open(_ name: String, _ change: (inout RunPlan) -> Void = { _ in }) throws -> RunFolder {
                var plan = Setting(shard: (1, 2)).plan
                change(&plan)
                let result = RunFolder("\(folder)/\(name)")
                try result.open(plan).finish(isComplete: true)
                return result
            }
            let first = try open("1"), second = try open("2") { $0.shards = [2] }
            let others = [
                try open("seed") { ($0.seed, $0.shards) = (4, [2]) },
                try open("engine") { plan in
                    plan.engines = [.init(name: "llama", option: "", version: "2", fingerprint: "", devices: [:])]
                    plan.shards = [2]
                },
                try open("of3") { ($0.shards, $0.shardCount) = ([2], 3) }, try open("again"),
            ]
            for other in others {
                #expect(throws: CorpusError.self) { try RunMerge([first, other]) }
            }
            try RunMerge([first, second]).write(to: RunFolder(folder + "/all"))
            // What is there is not overwritten, and nothing is left behind.
            #expect(throws: CorpusError(path: folder + "/all", reason: "is there already")) {
                try RunMerge([first, second]).write(to: RunFolder(folder + "/all"))
            }
            func names() throws -> Set<String> { Set(try FileManager.default.contentsOfDirectory(atPath: folder)) }
            let before = try names()
            #expect(!before.contains { $0.hasPrefix(".") })
            // Nor of one that is interrupted, which removes what one has left that was killed, and nothing else.
            for name in [".gguf-fuzz-merge-killed", ".gguf-fuzz-merge-going-on"] {
                try FileManager.default.createDirectory(atPath: "\(folder)/\(name)", withIntermediateDirectories: true)
                try Data().write(to: URL(fileURLWithPath: "\(folder)/\(name)/log.jsonl"))
            }
            let held = Foundation.open(folder + "/.gguf-fuzz-merge-going-on/log.jsonl", O_RDONLY)
            defer { close(held) }
            #expect(flock(held, LOCK_EX) == 0)
            #expect(throws: RunMerge.Interrupted.self) {
                try RunMerge([first, second]).write(to: RunFolder(folder + "/more")) { true }
            }
            #expect(try names() == before.union([".gguf-fuzz-merge-going-on"]))
        }
    }

    // MARK: Counting

    @Test("tallies of parts, added, are the tally of all, in whatever order, and through JSON")
    func tallies() throws {
        let records = (0..<40).map { index in
            var record = CaseRecord(index: UInt64(index), architecture: index % 3 == 0 ? "llama" : "gpt2")
            record.check = index % 2 == 0 ? .agrees : .state
            record.features = ["a", "b", "c", "d"].enumerated().filter { index >> $0.offset & 1 == 1 }.map(\.element)
            let outcome: Verdict.Outcome = index % 5 == 0 ? .discarded("block \(index)") : .passed
            record.verdicts = [Verdict(device: "cpu", outcome: outcome, worst: Double(index) / 4)]
            return record
        }
        func tally(_ records: some Sequence<CaseRecord>) -> Tally { records.reduce(into: Tally()) { $0.add($1) } }
        let all = tally(records)
        #expect(all.cases == 40 && all.discarded == 8 && all.discards == ["block N": 8])
        #expect(all.noise["cpu"]?.exact == 1 && all.noise["cpu"]?.bins[-2] == 1 && all.noise["cpu"]?.bins[3] == 8)
        #expect(all.coverage.count(of: "a") == 20 && all.coverage.count(of: "d", and: "a") == 8)
        #expect(all.checks["state"]?.verdicts == 20)
        var sum = tally(records[20...].reversed())
        sum.add(tally(records[..<20]))
        #expect(sum == all)
        let copy = try JSONDecoder().decode(Tally.self, from: JSONLine.encode(all))
        #expect(copy == all && copy != tally(records.dropLast()))
    }
}
