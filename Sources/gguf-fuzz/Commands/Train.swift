import ArgumentParser
import Architectures
import Foundation
import Fuzzing
import GGUF
import Inference
import Tokenizers

struct Train: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Draw a toy model that has learned a text, and write it to a GGUF file.",
        discussion: """
            Given the text's first word, the model says the rest: a test of whatever loads it, which a person can read. \
            Where the tokenizer has a token that ends a text, it says that last.

            Each word of the text, with the space before it, is a token of the model's vocabulary. With --bytes, each \
            byte is one, and any text has tokens. With --like, the tokenizer is that of a GGUF file, which need not \
            hold any tensors; of its vocabulary, the tokens of the text are kept, those that they are made from, those \
            of single bytes and those that have a role, so that the model stays small and the text has the tokens that \
            all of the vocabulary would give it.

            The model is the first of the seed's that has room for the text and learns it. With --type, the matrices \
            have that type while it learns, so that it says the text as it is in the file.

            Examples:
              gguf-fuzz train --arch mamba --seed 1 --text 'All that is gold does not glitter' -o toy.gguf
              gguf-fuzz train --arch qwen3moe --seed 1 --text 'to be or not to bloom' --type Q4_K -o toy.gguf
              gguf-fuzz train --arch llama --seed 1 --text 'to be or not to bloom' --like vocab.gguf -o toy.gguf
            """)

    @Option(help: "The architecture.")
    var arch: String
    @Option(help: "Seed of the random numbers.")
    var seed: UInt64
    @Option(parsing: .unconditional, help: "The text, of two words or more.")
    var text: String
    @Flag(help: "Each byte is a token, rather than each word.")
    var bytes = false
    @Option(help: ArgumentHelp("A GGUF file whose tokenizer the model takes.", valueName: "file"))
    var like: String?
    @Option(help: ArgumentHelp(
        "What changes the weights: \(Optimiser.allCases.map(\.rawValue).joined(separator: " or ")).",
        valueName: "optimiser"))
    var optimiser = Optimiser.adamW
    @Option(help: "Type of the large matrices.")
    var type = MatrixType.f32
    @Option(name: [.customShort("o"), .customLong("output")], help: "The file to write.")
    var output: String

    /// Models of a seed that are tried.
    private static let mostModels: UInt64 = 20

    func validate() throws {
        guard !bytes || like == nil else { throw ValidationError("one of --bytes and --like says what the tokens are") }
    }

    func run() throws {
        let architecture = try ArchitectureCatalog.named(arch)
        let speech = try speech(silent: architecture.silentTokens)
        var reasons: [String: Int] = [:]
        for index in 0..<Self.mostModels {
            do {
                let toy = try SpeakingToy(architecture, seed: seed, index: index, speech, optimiser, type: type.type)
                return try save(Model(toy.source), speech, toy.steps)
            } catch let unsuitable as SpeakingToy.Unsuitable {
                reasons[unsuitable.description, default: 0] += 1
            }
        }
        let told = reasons.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { "\($0.key) (\($0.value))" }
        throw CommandError(
            "--arch \(arch): none of \(Self.mostModels) models of seed \(seed) says the text: "
                + told.joined(separator: "; "))
    }

    private func speech(silent: Range<Int>) throws -> Speech {
        do {
            guard let like else { return try Speech(text, bytes ? .bytes : .words, silent: silent) }
            let metadata = try CommandError.naming(like) { try GGUFFile(path: like).metadata }
            return try Speech(text, .like(metadata), silent: silent)
        } catch let error as SpeechError {
            throw CommandError("--text: \(error)")
        } catch let error as TokenizerError {
            throw CommandError("\(like ?? "--text"): \(error)")
        }
    }

    private func save(_ model: Model, _ speech: Speech, _ steps: Int) throws {
        try ProgressLine.during("\(output): writing") { _ in try model.save(to: output) }
        let parameters = model.source.tensors.reduce(0) { $0 + $1.shape.count }
        Terminal.line(
            "\(output): \(arch), \(Format.count(parameters)) parameters, learned in \(steps) steps: "
                + "after \"\(speech.prompt)\" comes \"\(speech.rest)\"")
    }
}

extension Optimiser: ExpressibleByArgument {}
