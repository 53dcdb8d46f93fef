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
            Of a corpus file, the case is run again; if it fails, it is shrunk. Of a GGUF file, a real model's or \
            another's, its metadata and the names of its tensors count: cases about that model are drawn until one \
            fails, with weights drawn at random. A model that is too large for this becomes a toy of its kind first: \
            its sizes go, all else stays.

            Exit status: 0 nothing failed, and nothing is written; 1 a case failed, and is shrunk and written; 2 bad \
            input.

            Examples:
              gguf-fuzz shrink Corpus/agrees-cpu-llama-process-mismatch.json -o simple.json
              gguf-fuzz shrink model.gguf --check agrees,state --device vulkan0 -o simple.json
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
    @OptionGroup var injection: Injection
    @OptionGroup var engines: EnginesUnderTest

    func validate() throws {
        guard (1...1 << 40).contains(cases) else { throw ValidationError("--cases \(cases): must be 1 to \(1 << 40)") }
    }

    func run() throws {
        let candidates = try file.hasSuffix(".json") ? corpusCandidates() : modelCandidates()
        Interrupt.watch()
        var tried = 0
        for number in 0..<candidates.count where !Interrupt.isRequested {
            Terminal.progress("\(file): case \(number)")
            let candidate = try CommandError.naming(file) { try candidates.draw(number) }
            try checkSize(of: candidate.case)
            let failures = candidates.judge.judge(candidate.case).compactMap(\.failure)
            tried += 1
            let sought = failures.first { $0.signature == candidates.signature }
            guard let failure = sought ?? failures.first else { continue }
            try shrink(candidate, failure, candidates, index: number)
            throw ExitStatus.propertyFailed
        }
        Terminal.line("\(file): nothing failed in \(Format.amount(tried, "case")); \(output) is not written")
        if let status = Interrupt.status { throw ExitCode(status) }
    }

    private typealias Candidate = (case: Case, recording: Choices.Recording)

    /// The cases that are tried, in turn.
    private struct Candidates {
        var count: UInt64
        var draw: (UInt64) throws -> Candidate
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
            try ArchitectureCatalog.named(entry.case.architecture), devices: devices,
            placeable: set.placeable(with: devices + set.devices.map(\.name)), traits: set.traits)
        return Candidates(
            count: UInt64(checks.count),
            draw: { number in
                var target = entry.case
                target.check = checks[Int(number)]
                var choices = Choices(replaying: [])
                return (try drawing.draw(&choices, like: target), choices.recording)
            }, drawing: drawing, judge: Judge(set), fault: fault, signature: entry.signature, found: entry.found)
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
        var model: DrawnModel.Target = (file.metadata, Set(file.tensors.map(\.name)))
        try CommandError.naming(self.file) { try Model.refuseUnused(FileSource(file)) }
        let size = try CommandError.naming(self.file) { try weightBytes(model) }
        if size > largest {
            let toy = try CommandError.naming(self.file) {
                try DrawnModel.toy(of: model.metadata, optionalTensors: model.optionalTensors)
            }
            model = (toy.metadata, toy.optionalTensors)
            let toySize = Format.bytes(Int(try weightBytes(model)))
            Terminal.line("\(self.file): \(Format.bytes(Int(size))) of weights; a toy of its kind has \(toySize)")
        }
        return Candidates(
            count: cases,
            draw: { number in
                var choices = Choices(seed: seed, stream: number)
                return (try drawing.draw(&choices, model: model), choices.recording)
            }, drawing: drawing, judge: Judge(set), fault: fault)
    }

    /// What this program and a worker can both hold of a model.
    private var largest: Double { Double(engines.memoryLimit?.bytes ?? WorkerCommand.Limits().memory) / 4 }

    /// Of the weights, drawn in the largest type.
    private func weightBytes(_ model: DrawnModel.Target) throws -> Double {
        try Inventory(model.metadata, optional: .only(model.optionalTensors)).tensors.reduce(0) {
            $0 + 4 * Double($1.shape.count)
        }
    }

    /// A corpus file may say anything.
    private func checkSize(of subject: Case) throws {
        guard subject.check != .rejects else { return }
        let bytes = try CommandError.naming(file) { try weightBytes((subject.metadata, Set(subject.optionalTensors))) }
        guard bytes <= largest else {
            throw CommandError(
                "\(file): has \(Format.bytes(Int(bytes))) of weights; no more than a quarter of --memory-limit, "
                    + "\(Format.bytes(Int(largest))), can be tried")
        }
    }

    private func shrink(_ candidate: Candidate, _ failure: Failure, _ candidates: Candidates, index: UInt64) throws {
        Terminal.line("\(file): \(failure.signature): \(candidate.case.summary)")
        var shrinker = CaseShrinker(candidates.drawing, candidates.judge)
        var shown = ContinuousClock.now
        shrinker.progress = { judged, simplest in
            guard shown.duration(to: .now) > .milliseconds(100) else { return }
            shown = .now
            let size = "\(Format.amount(simplest.layers, "layer")), \(Format.amount(simplest.tokens, "token"))"
            Terminal.progress("\(Format.amount(judged, "run")): \(size)")
        }
        let shrunk = shrinker.shrink(candidate.recording, failure) { Interrupt.isRequested }
        var entry = CorpusEntry(
            case: shrunk?.case ?? candidate.case, signature: failure.signature,
            seen: shrunk?.failure.seen ?? failure.seen,
            found: candidates.found ?? .init(seed: seed, index: index, version: GGUFFuzz.version))
        entry.case.devices = [failure.signature.device]
        entry.found.fault = candidates.fault?.name
        entry.found.evaluations = shrunk?.evaluations
        try entry.write(to: output)
        if let shrunk {
            Terminal.line(
                "\(output): \(entry.case.summary); \(Format.amount(shrunk.evaluations, "run"))"
                    + (shrunk.isFlaky ? ", passes at times" : ""))
        } else {
            Terminal.line("\(output): as it was, since it did not fail again")
        }
    }
}
