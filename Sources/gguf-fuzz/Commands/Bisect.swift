import ArgumentParser
import Foundation
import Fuzzing

struct Bisect: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Find the commit of an engine that changed a model's results, or that broke a case.",
        discussion: """
            Builds revisions of a git checkout and tests each, halving what is between a good and a bad one (git \
            bisect). The test is results check or replay with the engine that the checkout has built, or a command of \
            yours: its exit status 0 is good, 125 skips the revision, any other is bad. All commands are run in the \
            top folder of the checkout, so an engine inside is named from there.

            First the good revision must prove good and the bad one bad. A revision that does not build, or with which \
            nothing can be tested (exit status 2), is skipped; one whose test hangs or crashes is bad. Tracked files \
            that a build changes are put back.

            The checkout must have no changes, and no bisect in progress. It is left as it was found, after an \
            interrupt too; files that builds have made stay.

            Exit status: 0 the first bad commit was found, 1 skipped revisions hide it, 2 bad input, 130 an interrupt.

            Examples:
              gguf-fuzz bisect --good b7000 --bad master --repository ~/llama.cpp \\
                --build 'cmake --build build --target llama' --engine llama=. \\
                --results m.results.gguf --model m.gguf
              gguf-fuzz bisect --good v1.2 --bad main --build make \\
                --engine worker=./engine --corpus Corpus/x.json
              gguf-fuzz bisect --good v1.2 --bad main --build make --test ./check.sh
            """)

    @Option(help: ArgumentHelp("A revision that is good.", valueName: "revision"))
    var good: String
    @Option(help: ArgumentHelp("A later one that is bad.", valueName: "revision"))
    var bad: String
    @Option(help: ArgumentHelp("The git checkout.", valueName: "folder"))
    var repository = "."
    @Option(help: ArgumentHelp("What builds a revision.", valueName: "command"))
    var build: String
    @Option(help: ArgumentHelp("A results file that the engine is held to.", valueName: "file"))
    var results: String?
    @Option(help: ArgumentHelp("The GGUF file of the model that the results are of.", valueName: "file"))
    var model: String?
    @Option(help: ArgumentHelp("A corpus file that the engine replays.", valueName: "file"))
    var corpus: String?
    @Option(help: ArgumentHelp("A command that tests a revision.", valueName: "command"))
    var test: String?
    @Option(help: ArgumentHelp(
        "The engine that the checkout builds, as run and results check take it.", valueName: "engine"))
    var engine: String?
    @Option(help: "The device under test. (default: the results command's, or the corpus file's own)")
    var device: String?
    @Option(help: ArgumentHelp("The largest NMSE of a row of results. (default: 1e-06)", valueName: "nmse"))
    var tolerance: Double?
    @Option(help: ArgumentHelp("How long one build, and one test, may take. (default: without end)", valueName: "time"))
    var timeout: TimeSpan?

    func validate() throws {
        guard [results, corpus, test].count(where: { $0 != nil }) == 1 else {
            throw ValidationError("one of --results, --corpus and --test says what is tested")
        }
        guard (results == nil) == (model == nil) else { throw ValidationError("--results and --model go together") }
        guard (engine == nil) == (test != nil) else {
            throw ValidationError("--engine says what --results or --corpus is tested with, and goes with them only")
        }
        guard tolerance == nil || results != nil else { throw ValidationError("--tolerance goes with --results only") }
        guard device == nil || test == nil else {
            throw ValidationError("--device goes with --results or --corpus only")
        }
        if let engine { _ = try EngineName(engine) }
    }

    func run() throws {
        let test = RevisionTest(build: build, test: try tested(), timeout: timeout?.duration)
        Interrupt.watch(.patient)
        let checkout = try Checkout(repository)
        let (good, bad) = try (checkout.commit(good, option: "--good"), checkout.commit(bad, option: "--bad"))
        var bisection = Bisection(checkout, test)
        let outcome: Bisection.Outcome
        do {
            outcome = try bisection.run(good: good, bad: bad)
        } catch {
            // How far it was, before that is forgotten.
            let remaining = try? checkout.remaining()
            try checkout.restore()
            guard error is RevisionTest.Interrupted else { throw error }
            let rest = remaining.map { ": the first bad commit is one of \($0)" } ?? ""
            Terminal.note(
                "interrupted after \(Format.amount(bisection.count, "revision"))\(rest); \(repository) is as it was")
            throw ExitCode(Interrupt.status ?? 130)
        }
        try checkout.restore()
        try bisection.print(outcome)
        if case .undecided = outcome { throw ExitStatus.propertyFailed }
    }

    /// The test; files are named from here, while commands are run in the checkout.
    /// - Throws: what reading them throws.
    private func tested() throws -> RevisionTest.Test {
        func absolute(_ path: String) -> String { URL(fileURLWithPath: path).path }
        if let test { return .command(test) }
        var arguments: [String]
        if let results, let model {
            _ = try ResultsFile(reading: results)
            _ = try ModelFile(path: model)
            arguments = ["results", "check", "--quiet", "--no-hash"]
            arguments += ["--model", absolute(model), "-i", absolute(results)]
            if let tolerance { arguments += ["--tolerance", "\(tolerance)"] }
        } else {
            arguments = ["replay", absolute(corpus ?? "")]
            _ = try CommandError.naming(corpus ?? "") { try CorpusEntry(path: corpus ?? "") }
        }
        if let engine { arguments += ["--engine", engine] }
        if let device { arguments += ["--device", device] }
        return .ours(arguments)
    }
}
