import ArgumentParser
import Architectures
import Engines
import Faults
import Foundation
import Fuzzing
import GGUF
import Inference
import PropertyTesting

struct Shrink: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Cut a corpus file, or a GGUF file's model, down to the simplest case that fails.",
        discussion: """
            Of a corpus file, the case is run again; if it fails, it is shrunk. That may be any legal case, written by \
            hand or found. Of a GGUF file, a real model's or another's, its metadata and the names of its tensors \
            count: cases about that model are drawn until one fails, with weights drawn at random. A model that is \
            too large for this becomes a toy of its kind first: its sizes go, all else stays. Checks that copy the \
            model (roundtrip, loaders, metamorphic) take a toy of its kind as soon as it is larger than toys are.

            A case that could not be cut down to the end is written as far as it has come; to shrink that file goes on \
            with it.

            Exit status: 0 nothing failed, and nothing is written; 1 a case failed, and is shrunk and written; 2 bad \
            input.

            Examples:
              gguf-fuzz shrink Corpus/agrees-cpu-llama-process-mismatch.json -o simple.json
              gguf-fuzz shrink model.gguf --check agrees,state --device vulkan0 -o simple.json
              gguf-fuzz shrink model.gguf --engine llama=PREFIX --known Corpus/llama.cpp -o simple.json
            """)

    @Argument(help: "A corpus file (.json) or a GGUF file.")
    var file: String
    @Option(name: [.customShort("o"), .customLong("output")], help: "The corpus file to write.")
    var output: String
    @Option(help: "Checks, separated by commas, or all. (default: the corpus file's own; of a GGUF file, all)")
    var check: NameList?
    @Option(help: "Devices, separated by commas, or all. (default: the corpus file's own; of a GGUF file, all)")
    var device: NameList?
    @Option(help: "Of a GGUF file: seed of the cases.")
    var seed: UInt64 = 1
    @Option(help: "Of a GGUF file: how many cases are drawn.")
    var cases: UInt64 = 100
    @OptionGroup var known: Known
    @OptionGroup var injection: Injection
    @OptionGroup var engines: EnginesUnderTest

    func validate() throws {
        guard (1...1 << 40).contains(cases) else { throw ValidationError("--cases \(cases): must be 1 to \(1 << 40)") }
    }

    func run() throws {
        let candidates = try file.hasSuffix(".json") ? corpusCandidates() : modelCandidates()
        Interrupt.watch(.endingEngines)
        var (tried, notes) = (0, [String: Int]())
        let found = try ProgressLine.during(file) { update -> (Case, Failure, UInt64)? in
            for number in 0..<candidates.count where !Interrupt.isRequested {
                update("\(file): case \(number)")
                let subject = try CommandError.naming(file) { try candidates.draw(number) }
                let verdicts = candidates.judge.judge(subject)
                tried += 1
                for note in verdicts.compactMap(Self.note) { notes[note, default: 0] += 1 }
                let failures = verdicts.compactMap(\.failure)
                let sought = failures.first { $0.signature == candidates.signature }
                if let failure = sought ?? failures.first { return (subject, failure, number) }
            }
            return nil
        }
        if let (subject, failure, number) = found {
            try shrink(subject, failure, candidates, index: number)
            throw ExitStatus.propertyFailed
        }
        Terminal.line("\(file): nothing failed in \(Format.amount(tried, "case")); \(output) is not written")
        for (note, count) in notes.mostFirst {
            Terminal.line("  \(note)\(count == 1 ? "" : ", \(count) times")")
        }
        if let status = Interrupt.status { throw ExitCode(status) }
    }

    /// Why a case that did not fail says nothing.
    private static func note(_ verdict: Verdict) -> String? {
        switch verdict.outcome {
        case .passed, .failed: nil
        case .known(let name): "known on \(verdict.device): \(name)"
        case .discarded(let reason): "discarded on \(verdict.device): \(reason)"
        }
    }

    /// The cases that are tried, in turn.
    private struct Candidates {
        var count: UInt64
        var draw: (UInt64) throws -> Case
        var drawing: CaseDrawing
        var judge: Judge
        var fault: Fault?
        /// The failure that is sought before others.
        var signature: Signature?
        var found: CorpusEntry.Origin?
    }

    private func corpusCandidates() throws -> Candidates {
        let entry = try CorpusEntry(path: file)
        let fault = try injection.fault(of: entry)
        let set = try engines.makers(fault: fault).make()
        let devices = try device?.devices(of: set) ?? entry.case.devices
        let checks = try check?.checks() ?? [entry.case.check]
        let drawing = CaseDrawing(
            try CommandError.naming(file) { try ArchitectureCatalog.named(entry.case.architecture) }, devices: devices,
            placeable: set.placeable(with: devices + set.devices.map(\.name)), traits: set.traits)
        return Candidates(
            count: UInt64(checks.count),
            draw: { number in
                var subject = entry.case
                subject.check = checks[Int(number)]
                subject.devices = devices
                if let flaw = subject.flaw(largest: engines.largestModel) {
                    throw CommandError("\(file): case.\(flaw)")
                }
                return drawing.completed(subject)
            }, drawing: drawing, judge: Judge(set, known: try known.findings()), fault: fault,
            signature: entry.signature, found: entry.found)
    }

    private func modelCandidates() throws -> Candidates {
        let file = try GGUFParts(path: file)
        let fault = try injection.fault(of: nil)
        let set = try engines.makers(fault: fault).make()
        let devices = try (device ?? .all).devices(of: set)
        let drawing = CaseDrawing(
            try CommandError.naming(self.file) { try ArchitectureCatalog.type(of: file.metadata) },
            devices: devices, placeable: set.placeable(with: devices + set.devices.map(\.name)),
            checks: try (check ?? .all).checks(), traits: set.traits)
        Understanding.noteUnreadKeys(of: file.metadata, in: self.file)
        try CommandError.naming(self.file) { try Model.refuseUnused(FileSource(file)) }
        let models = try models(of: (file.metadata, Set(file.tensors.map(\.name))))
        return Candidates(
            count: cases,
            draw: { number in
                var choices = Choices(seed: seed, stream: number)
                let subject = try drawing.draw(&choices, model: models.whole)
                guard subject.check.copiesModel else { return subject }
                choices = Choices(seed: seed, stream: number)
                return try drawing.draw(&choices, model: models.copied)
            }, drawing: drawing, judge: Judge(set, known: try known.findings()), fault: fault)
    }

    /// A model to try, and the one that checks take which copy it.
    private func models(
        of model: DrawnModel.Target
    ) throws -> (whole: DrawnModel.Target, copied: DrawnModel.Target) {
        let size = try CommandError.naming(file) { try Case.weightBytes(model.metadata, model.optionalTensors) }
        guard size > largestToy else { return (model, model) }
        let drawn = try CommandError.naming(file) {
            try DrawnModel.toy(of: model.metadata, optionalTensors: model.optionalTensors)
        }
        let toy = (drawn.metadata, drawn.optionalTensors)
        let toySize = Format.bytes(try Case.weightBytes(drawn.metadata, drawn.optionalTensors))
        let use = size > engines.largestModel ? "" : ", for checks that copy the model"
        Terminal.line("\(file): \(Format.bytes(size)) of weights; a toy of its kind has \(toySize)\(use)")
        return (size > engines.largestModel ? toy : model, toy)
    }

    /// What this program and a worker can both hold of a model, its file, and a changed model or what a file of it has.
    private var largestToy: Double { engines.largestModel / 16 }

    private func shrink(_ subject: Case, _ failure: Failure, _ candidates: Candidates, index: UInt64) throws {
        Terminal.line("\(file): \(failure.signature): \(subject.summary)")
        let shrunk = ProgressLine.during("\(file): shrinking") { update in
            var shrinker = CaseShrinker(candidates.drawing, candidates.judge)
            shrinker.progress = { judged, simplest in
                let size = "\(Format.amount(simplest.layers, "layer")), \(Format.amount(simplest.tokens, "token"))"
                update("\(file): shrinking: \(Format.amount(judged, "run")), \(size)")
            }
            return shrinker.shrink(subject, failure) { Interrupt.isRequested }
        }
        var entry = CorpusEntry(
            case: shrunk?.case ?? subject, signature: failure.signature, seen: shrunk?.failure.seen ?? failure.seen,
            found: candidates.found ?? .init(seed: seed, index: index, version: GGUFFuzz.version))
        entry.case.devices = [failure.signature.device]
        entry.found.fault = candidates.fault?.name
        entry.found.evaluations = shrunk.map { $0.evaluations + (candidates.found?.evaluations ?? 0) }
        try entry.write(to: output)
        guard let shrunk else { return Terminal.line("\(output): as it was, since it did not fail again") }
        Terminal.line(
            "\(output): \(entry.case.summary); \(Format.amount(shrunk.evaluations, "run"))"
                + (shrunk.isFlaky ? ", passes at times" : "")
                + (shrunk.isExhausted ? ", not cut down to the end: to shrink this file goes on with it" : ""))
    }
}
