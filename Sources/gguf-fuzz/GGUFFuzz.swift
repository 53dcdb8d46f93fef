import ArgumentParser
import Architectures

@main
struct GGUFFuzz: ParsableCommand {
    static let version = "0.1.0"

    static let configuration = CommandConfiguration(
        commandName: "gguf-fuzz",
        abstract: "A property-based fuzzer for engines that run GGUF language models.",
        discussion: """
            Exit status: 0 nothing failed, 1 a property failed, 2 bad input or usage.

            Examples:
              gguf-fuzz run                          1000 cases of all architectures on all devices
              gguf-fuzz run --profile nightly        eight hours, all devices
              gguf-fuzz replay Corpus                what failed once
              gguf-fuzz export Corpus/x.json -o m.gguf
              gguf-fuzz generate --arch llama --seed 1 -o m.gguf
              gguf-fuzz show m.gguf
              gguf-fuzz results write --model m.gguf --tokens 1,2,3 -o m.results.gguf
              gguf-fuzz results check --model m.gguf --device cpu -i m.results.gguf
              gguf-fuzz tokenize --model m.gguf --prompt 'Hello world'
              gguf-fuzz bisect --good v1.2 --bad main ...   which commit changed them
            """,
        version: version,
        subcommands: [
            Run.self, Merge.self, Report.self, Replay.self, Shrink.self, Triage.self, Export.self, Generate.self,
            Train.self, Show.self, Archs.self, ListDevices.self, FaultsCommand.self, ResultsCommand.self, Bisect.self,
            Tokenize.self, Bench.self, Worker.self,
        ])

    /// Unlike the default, usage errors end with status 2 and every error is one line.
    static func main() {
        do {
            try refuseUnknownCommand(CommandLine.arguments.dropFirst(), of: self)
            var command = try parseAsRoot()
            try command.run()
            ExitStatus.exit()
        } catch {
            ExitStatus.exit(for: error)
        }
    }

    /// The parser's own words for a mistyped command are those for an argument too many.
    /// - Throws: `CommandError` that says which names are close.
    private static func refuseUnknownCommand(
        _ words: ArraySlice<String>, of command: any ParsableCommand.Type
    ) throws {
        let subcommands = command.configuration.subcommands
        guard let word = words.first, !word.hasPrefix("-"), word != "help", !subcommands.isEmpty else { return }
        guard let subcommand = subcommands.first(where: { $0._commandName == word }) else {
            let names = subcommands.filter { $0.configuration.shouldDisplay }.map { $0._commandName }
            throw CommandError("\(word): no such command; \(NearNames.offer(names, for: word))")
        }
        try refuseUnknownCommand(words.dropFirst(), of: subcommand)
    }
}
