import ArgumentParser
import Foundation
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
                for record in try FailureRecord.read(path) { triage.add(record.signature, record.seen, in: record.place) }
            } else {
                for file in try Corpus.files([path]) { triage.add(try CorpusEntry(path: file), in: file) }
            }
        }
        let groups = triage.groups
        for (number, group) in groups.enumerated() {
            print("\(number == 0 ? "" : "\n")\(number + 1). \(group.title)")
            for line in group.lines { print("   \(line)") }
        }
        let count = groups.reduce(0) { $0 + $1.members.count }
        print("\(groups.isEmpty ? "" : "\n")\(Format.amount(count, "failure")): \(Format.amount(groups.count, "finding"))")
    }
}

/// A failure as a log of a run has it.
private struct FailureRecord {
    var signature: Signature
    var seen: String
    /// `night.jsonl:12`
    var place: String

    private struct Line: Decodable {
        var architecture: String
        var check: String?
        var verdicts: [CaseLine.Verdict]
    }

    /// - Throws: `CorpusError` that names the line.
    static func read(_ path: String) throws -> [FailureRecord] {
        let data = try CorpusError.contents(of: path)
        let decoder = JSONDecoder()
        return try data.split(separator: UInt8(ascii: "\n")).enumerated().flatMap { number, text -> [FailureRecord] in
            let place = "\(path):\(number + 1)"
            let line: Line
            do {
                line = try decoder.decode(Line.self, from: Data(text))
            } catch let error as DecodingError {
                throw CorpusError(path: place, reason: error.line)
            }
            return line.verdicts.filter { $0.outcome == .fail }.map { verdict in
                FailureRecord(
                    signature: Signature(
                        check: line.check.flatMap(Check.init) ?? .agrees, device: verdict.device,
                        architecture: line.architecture, stage: verdict.stage ?? "", kind: verdict.kind ?? "",
                        frames: verdict.frames ?? []),
                    seen: verdict.seen ?? "", place: place)
            }
        }
    }
}
