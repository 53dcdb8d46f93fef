import ArgumentParser
import Architectures
import Foundation
import Fuzzing
import GGUF
import Inference

struct Export: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write a corpus file's model, and a C++ program and commands that show the bug in llama.cpp.",
        discussion: """
            The program, beside the model and named for it, needs nothing but llama.cpp's public API: it has a few \
            lines for each step of the case, and what is expected. Its exit status is 0 where all is as it should be, \
            1 where it is not, and 2 where llama.cpp cannot do what it asks for; a crash is the failure itself.

            llama.cpp's tools take text, so the model gets a tokenizer in which token i is the text <i>. What a case \
            has that the tools cannot show (several sequences, removals, saved state) is listed.

            Errors are held to those that ggml's CPU backend may make. With --engine llama=PREFIX, the device is asked \
            how it computes, and they are held to what that makes.

            Examples:
              gguf-fuzz export Corpus/agrees-cpu-llama-process-mismatch.json -o model.gguf
              gguf-fuzz export Corpus/llama.cpp/shift-scales-keys.json -o model.gguf --program issue.cpp
            """)

    @Argument(help: "The corpus file.")
    var file: String
    @Option(name: [.customShort("o"), .customLong("output")], help: "The GGUF file to write.")
    var output: String
    @Option(help: "The C++ program to write. (default: the GGUF file's name, with .cpp)")
    var program: String?
    @OptionGroup var engines: EnginesUnderTest

    func run() throws {
        let entry = try CorpusEntry(path: file)
        if let flaw = entry.flaw(largest: engines.largestModel) { throw CorpusError(path: file, reason: flaw) }
        let files = LlamaProgram.Files(origin: file, model: output, program: program)
        guard files.program != output else { throw CommandError("--program \(output): is the model itself") }
        var subject = entry.case
        guard subject.check.isOfTensors, !subject.check.isOfRefusals else {
            try ReplacementFile.save(CommandError.naming(file) { try subject.file() }, to: output)
            let what = switch subject.check {
            case .rejects: "metadata only, which must be refused"
            case .tokenizes: "metadata only"
            default: subject.adapters == nil ? "a damaged file" : "a model, of which an adapter is damaged"
            }
            print("\(output): \(what): \(subject.summary)")
            for command in try LlamaTools.commands(of: subject, model: output) { print(command) }
            try writeProgram(entry, to: files)
            return
        }
        let tools = try CommandError.naming(file) {
            let vocabulary = try ArchitectureCatalog.read(subject.metadata).dimensions.vocabulary
            subject.metadata = ToyTokenizer.added(to: subject.metadata, vocabulary: vocabulary)
            return try LlamaTools(subject)
        }
        let source = try CommandError.naming(file) { try subject.source() }
        try source.save(to: output)
        let parameters = source.tensors.reduce(0) { $0 + $1.shape.count }
        print(
            "\(output): \(subject.architecture), \(source.tensors.count) tensors, "
                + "\(Format.count(parameters)) parameters; token i is the text <i>")

        for command in tools.commands(model: output) { print(command) }
        if !tools.limits.isEmpty { print("not shown by these tools:") }
        for limit in tools.limits { print("  \(limit)") }
        try writeProgram(entry, to: files)
    }

    private func writeProgram(_ entry: CorpusEntry, to files: LlamaProgram.Files) throws {
        let devices = entry.case.script.placement.namedDevices + entry.case.devices
        let asked = try engines.engine.isEmpty ? nil : engines.makers(fault: nil, devices: devices).make()
        let program = try CommandError.naming(file) {
            try LlamaProgram(entry, files, precision: { asked?.precision(of: $0) })
        }
        try ReplacementFile.save(program.text.utf8, to: files.program)
        try program.transformed?.save(to: files.transformed)
        for (number, bytes) in program.adapters.enumerated() {
            try ReplacementFile.save(bytes, to: files.adapter(number))
            print("\(files.adapter(number)): what it is adapted by")
        }
        print("\(files.program): shows it by llama.cpp's API")
        print(files.compilation)
        if !program.limits.isEmpty { print("not shown by this program:") }
        for limit in program.limits { print("  \(limit)") }
    }
}
