import ArgumentParser
import Fuzzing

/// What a run does: given as options, in a profile, or by default.
struct RunOptions: ParsableArguments {
    @Option(help: "Architectures, separated by commas, or all. (default: all)")
    var arch: NameList?
    @Option(help: "Devices under test, separated by commas, or all. (default: all)")
    var device: NameList?
    @Option(help: ArgumentHelp(
        "Checks, separated by commas, or all but malformed, tokenizes, gradients and trains, which must be named. "
            + "(default: all)"))
    var check: NameList?
    @Option(help: "Seed of the random numbers. (default: 1)")
    var seed: UInt64?
    @Option(help: "How many cases, of all shards together. (default: 1000, unless there is --time)")
    var cases: UInt64?
    @Option(help: "How long instead: 90s, 30m, 8h.")
    var time: TimeSpan?
    @Option(help: ArgumentHelp(
        "Cases that run side by side. (default: one for each core; on GPUs, as many as are found to get most done)"))
    var jobs: Int?
    @Option(help: ArgumentHelp(
        "Part I of N, from 1: of N runs with the same seed, each runs other cases. (default: 1/1)", valueName: "I/N"))
    var shard: Shard?
    @Option(help: ArgumentHelp(
        "The folder that keeps what failed; only written to if something does. (default: Corpus)", valueName: "folder"))
    var corpus: String?
    @Option(help: ArgumentHelp(
        "Corpus files, and folders of them, of findings that are waited for: their failures are counted, and are none "
            + "of this run; may be repeated.", valueName: "path"))
    var known: [String] = []
    @Option(help: ArgumentHelp(
        "The longest that shrinking one failure may take; then the simplest so far is kept. (default: 5m)",
        valueName: "time"))
    var shrinkTime: TimeSpan?
    @Option(help: ArgumentHelp("Put a known fault into cpu, to see whether and how it is found.", valueName: "fault"))
    var inject: String?
    @Option(help: ArgumentHelp("Write a record for each case to this file, one JSON object a line.", valueName: "file"))
    var json: String?
    @Option(help: ArgumentHelp(
        "The folder of the run: its plan, its log and its corpus. The same command goes on with it, whatever ended it.",
        valueName: "folder"))
    var run: String?
    @Flag(help: "Draw more often what is seldom drawn: features of cases, and pairs of them.")
    var steer = false
    @Option(help: ArgumentHelp(
        "Which cases have a line of their own in the folder's log: all, or failures; others are counted. "
            + "(default: all)",
        valueName: "cases"))
    var log: RunPlan.LogDetail?
    @OptionGroup var engines: EnginesUnderTest

    func validate() throws {
        if cases != nil, time != nil { throw ValidationError("--cases and --time: only one of them") }
        if let cases, !(1...1 << 40).contains(cases) {
            throw ValidationError("--cases \(cases): must be 1 to \(1 << 40)")
        }
        if let jobs, !(1...1024).contains(jobs) { throw ValidationError("--jobs \(jobs): must be 1 to 1024") }
        if corpus != nil, run != nil { throw ValidationError("--corpus and --run: a run's folder has its own corpus") }
        if log != nil, run == nil { throw ValidationError("--log: is of a run's folder, and there is no --run") }
        if let run, run.isEmpty { throw ValidationError("--run: names no folder") }
        if let corpus, corpus.isEmpty { throw ValidationError("--corpus: names no folder") }
    }

    /// Takes from another what has not been said.
    mutating func fill(from other: RunOptions) {
        arch = arch ?? other.arch
        device = device ?? other.device
        check = check ?? other.check
        seed = seed ?? other.seed
        // Either says how long a run is.
        if cases == nil, time == nil { (cases, time) = (other.cases, other.time) }
        jobs = jobs ?? other.jobs
        shard = shard ?? other.shard
        corpus = corpus ?? other.corpus
        if known.isEmpty { known = other.known }
        shrinkTime = shrinkTime ?? other.shrinkTime
        inject = inject ?? other.inject
        json = json ?? other.json
        run = run ?? other.run
        log = log ?? other.log
        steer = steer || other.steer
        engines.fill(from: other.engines)
    }
}
