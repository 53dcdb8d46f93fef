import ArgumentParser
import Engines
import Faults
import Fuzzing

struct Replay: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run corpus files again, and say whether they still fail.",
        discussion: """
            A fault that was put into the device when the file was found is put there again, unless --inject none.

            With --known, what a finding explains that is waited for is known: NAME, and no failure.

            Exit status: 0 nothing failed, 1 something did, 2 a file is no corpus file, or its case breaks the rules \
            of its model or of sessions; the other files are run all the same.

            Examples:
              gguf-fuzz replay Corpus
              gguf-fuzz replay --device vulkan0 Corpus/agrees-cpu-llama-process-mismatch.json
              gguf-fuzz replay --inject none Corpus
            """)

    @Argument(help: "Corpus files, and folders of them.")
    var files: [String]
    @Option(help: "Devices instead of the files' own, separated by commas, or all.")
    var device: NameList?
    @OptionGroup var known: Known
    @OptionGroup var injection: Injection
    @OptionGroup var engines: EnginesUnderTest

    func run() throws {
        try injection.check()
        let files = try Corpus.files(files, refusingNone: true)
        let known = try known.findings()
        var judges: [String?: (judge: Judge, engines: EngineSet)] = [:]
        var (passes, failures, explained, discards, unreadable) = (0, 0, 0, 0, 0)
        Interrupt.watch(.endingEngines)
        for file in files where !Interrupt.isRequested {
            Terminal.progress(file)
            let entry: CorpusEntry, fault: Fault?
            do {
                entry = try CorpusEntry(path: file)
                fault = try injection.fault(of: entry)
                if let flaw = entry.flaw(largest: engines.largestModel) { throw CorpusError(path: file, reason: flaw) }
            } catch {
                Terminal.note("gguf-fuzz: \(CommandError.line(file, error))")
                unreadable += 1
                continue
            }
            var subject = entry.case
            let (judge, set) = try judges[fault?.name] ?? {
                let set = try engines.makers(fault: fault).make()
                return (Judge(set, known: known), set)
            }()
            judges[fault?.name] = (judge, set)
            if let device { subject.devices = try device.devices(of: set) }
            let verdicts = judge.judge(subject)
            if EngineStop.isRequested { break }
            for verdict in verdicts {
                Terminal.line("\(file): \(Self.text(verdict, entry))")
                switch verdict.outcome {
                case .passed: passes += 1
                case .failed: failures += 1
                case .known: explained += 1
                case .discarded: discards += 1
                }
            }
        }
        Terminal.line(
            "\(Format.amount(files.count, "file")): \(passes) passed, \(failures) failed"
                + (explained > 0 ? ", \(explained) known" : "") + ", \(discards) discarded"
                + (unreadable > 0 ? ", \(unreadable) not read" : ""))
        if unreadable > 0 { throw ExitStatus.badInput }
        if failures > 0 { throw ExitStatus.propertyFailed }
        if let status = Interrupt.status { throw ExitCode(status) }
    }

    /// `fails on cpu as recorded: step 0, row 1: …`
    private static func text(_ verdict: Verdict, _ entry: CorpusEntry) -> String {
        switch verdict.outcome {
        case .passed:
            let worst = verdict.worst.map { ", worst \(Format.multiple($0)) of the noise floor" }
            return "passes on \(verdict.device)\(worst ?? "")"
        case .known(let name):
            return "fails on \(verdict.device), known: \(name)"
        case .discarded(let reason):
            return "discarded on \(verdict.device): \(reason)"
        case .failed(let failure):
            var recorded = entry.signature
            recorded.device = verdict.device
            let other = "in another way than recorded, \(failure.signature.kind) in \(failure.signature.stage)"
            let same = failure.signature.isStill(recorded) ? "as recorded" : other
            return "fails on \(verdict.device) \(same): \(failure.seen)"
        }
    }
}
