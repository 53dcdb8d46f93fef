import ArgumentParser
import Fuzzing

struct Merge: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make one folder of those of a run's shards.",
        discussion: """
            The folders are of different shards of one run (run --shard I/N --run DIR). Counts are added, coverage is \
            united, findings of one cause are joined, and the smallest case of each is kept. What is not of the same \
            run, with the same options and engines, is refused.

            Exit status: 0, or 2 where a folder cannot be read or written, or is of another run.

            Examples:
              gguf-fuzz merge night/1 night/2 night/3 night/4 -o night/all
            """)

    @Argument(help: "The folders of the shards.")
    var folders: [String]
    @Option(name: [.customShort("o"), .customLong("output")], help: "The folder to make.")
    var output: String

    func run() throws {
        let merge = try RunMerge(folders.map { RunFolder($0) })
        Interrupt.watch()
        let summary: RunSummary
        do {
            summary = try merge.write(to: RunFolder(output)) { Interrupt.isRequested }
        } catch is RunMerge.Interrupted {
            Terminal.note("interrupted; \(output) is not made")
            throw ExitCode(Interrupt.status ?? 130)
        }
        let (plan, tally) = (summary.plan, summary.tally)
        let shards = "\(plan.shards.count) of \(Format.amount(Int(clamping: plan.shardCount), "shard")), "
        print(
            "\(output): \(shards)\(Format.amount(tally.cases, "case")), \(Format.amount(tally.verdicts, "verdict")), "
                + "\(Format.count(tally.failures)) failed, \(Format.amount(summary.findings.count, "finding"))"
                + (summary.isComplete ? "" : "; not all of it is done"))
        for finding in summary.findings { print("  \(finding.title)") }
    }
}
