import ArgumentParser
import Architectures
import Foundation
import Fuzzing
import GGUF
import Inference

struct Export: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write a corpus file's model as a GGUF file, and print how llama.cpp's tools show the bug.",
        discussion: """
            llama.cpp's tools take text, so the model gets a tokenizer in which token i is the text <i>. What a case \
            has that the tools cannot show (several sequences, removals, saved state) is listed.

            Examples:
              gguf-fuzz export Corpus/agrees-cpu-llama-process-mismatch.json -o model.gguf
            """)

    @Argument(help: "The corpus file.")
    var file: String
    @Option(name: [.customShort("o"), .customLong("output")], help: "The GGUF file to write.")
    var output: String

    func run() throws {
        let entry = try CorpusEntry(path: file)
        var subject = entry.case
        guard subject.check != .rejects else {
            try subject.source().save(to: output)
            print("\(output): metadata only, which must be refused: \(subject.summary)")
            print("llama-results --model \(output.shellArgument) --prompt x --output results.gguf")
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

        let arguments = ["--model", output, "--prompt", tools.prompt] + tools.options
        let common = arguments.map(\.shellArgument).joined(separator: " ")
        switch tools.kind {
        case .logits:
            print("llama-results \(common) --device none --output results.gguf")
            print("llama-results \(common) --output results.gguf --check")
            print("llama-eval-callback \(common)")
        case .embeddings:
            print("llama-embedding \(common)")
        case .encoder:
            print("llama-completion \(common) --predict 1")
        }
        if !tools.limits.isEmpty { print("not shown by these tools:") }
        for limit in tools.limits { print("  \(limit)") }
    }
}
