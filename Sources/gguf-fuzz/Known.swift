import ArgumentParser
import Fuzzing

/// The findings that are waited for, for commands that judge cases one at a time.
struct Known: ParsableArguments {
    @Option(help: ArgumentHelp(
        "Corpus files, and folders of them, of findings that are waited for: failures that these explain are none; may "
            + "be repeated.", valueName: "path"))
    var known: [String] = []

    /// - Throws: `CorpusError`.
    func findings() throws -> KnownFindings { try KnownFindings(known) }
}
