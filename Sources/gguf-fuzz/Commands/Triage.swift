import ArgumentParser
import Fuzzing

struct Triage: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Group what older runs left behind by its cause.",
        discussion: """
            Corpus files are grouped by what happened, where, and what their cases need; records of failures, as run \
            --json writes them, by what happened and where alone, since they hold no case. Nothing is run: what a case \
            could do without counts as needed, so that cases that were not cut down to the end may stay apart.

            Exit status: 0, or 2 where a file cannot be read.

            Examples:
              gguf-fuzz triage Corpus
              gguf-fuzz triage night.jsonl Corpus/night
            """)

    @Argument(help: "Corpus files, folders of them, and logs of runs (.jsonl).")
    var files: [String]

    func run() throws {
        var triage = Fuzzing.Triage()
        for path in files {
            if path.hasSuffix(".jsonl") {
                try CaseLine.forEach(in: path) { line, number in
                    for verdict in line.verdicts where verdict.outcome == .fail {
                        let failure = line.failure(verdict)
                        triage.add(failure.signature, failure.seen, in: "\(path):\(number)")
                    }
                }
            } else {
                for file in try Corpus.files([path], refusingNone: true) {
                    triage.add(try CorpusEntry(path: file), in: file)
                }
            }
        }
        let groups = triage.groups
        for (number, group) in groups.enumerated() {
            print("\(number == 0 ? "" : "\n")\(number + 1). \(group.title)")
            for line in group.lines { print("   \(line)") }
        }
        let count = groups.reduce(0) { $0 + $1.members.count }
        print(
            (groups.isEmpty ? "" : "\n")
                + "\(Format.amount(count, "failure")): \(Format.amount(groups.count, "finding"))")
    }
}
