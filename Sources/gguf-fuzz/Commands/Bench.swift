import ArgumentParser

struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure how many cases a second there are, and where the time goes.",
        discussion: """
            Without a subcommand: cases.

            Examples:
              gguf-fuzz bench --cases 1000
              gguf-fuzz bench model --arch llama,mamba2 --device cpu --tokens 512
            """,
        subcommands: [OfCases.self, OfModel.self], defaultSubcommand: OfCases.self)
}
