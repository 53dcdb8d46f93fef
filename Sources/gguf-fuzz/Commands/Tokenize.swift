import ArgumentParser
import Devices
import Engines
import Foundation
import Fuzzing
import GGUF
import Inference
import Tokenizers

struct Tokenize: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print the token ids of a text, by the tokenizer that a GGUF file holds.",
        discussion: """
            The ids are those of llama.cpp, on one line, separated by spaces; an empty text has an empty line.

            With --engine, an engine's tokens of the text, or of random texts, are held against these. The exit status
            is 1 where they differ.

            Examples:
              gguf-fuzz tokenize --model m.gguf --prompt 'Hello world'
              gguf-fuzz tokenize --model m.gguf --file text.txt --add-special
              gguf-fuzz tokenize --model m.gguf --engine llama=PREFIX --texts 500
            """)

    @Option(help: "The GGUF file.")
    var model: String
    @Option(parsing: .unconditional, help: "The text.")
    var prompt: String?
    @Option(help: "A file that holds the text, in UTF-8; - is standard input.")
    var file: String?
    @Flag(help: "With the tokens that mark beginning and end, as the model wants them.")
    var addSpecial = false
    @Flag(help: "Control tokens that the text spells out are those tokens.")
    var parseSpecial = false

    @Option(help: "So many random texts in place of one, for --engine.")
    var texts: Int?
    @Option(help: "What the random texts are drawn from.")
    var seed: UInt64 = 1
    @OptionGroup var engines: EnginesUnderTest

    func validate() throws {
        guard [prompt != nil, file != nil, texts != nil].count(where: { $0 }) == 1 else {
            throw ValidationError("either --prompt, --file or --texts must be given")
        }
        guard texts == nil || !engines.engine.isEmpty else { throw ValidationError("--texts: needs an --engine") }
        if let texts, texts < 1 { throw ValidationError("--texts \(texts): must be 1 or more") }
    }

    func run() throws {
        guard engines.engine.isEmpty else { return try compare() }
        let text = try text()
        let metadata = try GGUFFile(path: model).metadata
        let ids = try CommandError.naming(model) {
            try Tokenizer(metadata).encode(text, addSpecial: addSpecial, parseSpecial: parseSpecial)
        }
        print(ids.map(String.init).joined(separator: " "))
    }

    /// Texts by their numbers, where an engine's tokens of them are others than ours.
    private func compare() throws {
        let texts = try self.texts.map { try FileTokenization.texts($0, seed: seed, for: model) }
            ?? [TokenizedText([.init(text())], addSpecial: addSpecial, parseSpecial: parseSpecial)]
        let tokenization = try CommandError.naming(model) {
            try FileTokenization(
                path: model, texts: texts, reference: BuiltinEngine(DeviceSet([ReferenceDevice()])))
        }
        var isRight = true
        for engine in try engines.makers(fault: nil).engines() {
            let differences = try CommandError.naming(model) { try tokenization.differences(by: engine) }
            for (number, seen) in differences {
                Terminal.line("\(engine.name): text \(number), \(texts[number].summary): \(seen)")
            }
            let alike = texts.count - differences.count
            Terminal.line("\(engine.name): \(Format.amount(texts.count, "text")), \(alike) alike")
            isRight = isRight && differences.isEmpty
        }
        guard isRight else { throw ExitStatus.propertyFailed }
    }

    private func text() throws -> String {
        guard let file else { return prompt ?? "" }
        let data: Data
        do {
            data =
                file == "-"
                ? try FileHandle.standardInput.readToEnd() ?? Data() : try Data(contentsOf: URL(fileURLWithPath: file))
        } catch {
            throw CommandError("\(file): cannot be read")
        }
        guard let text = String(validating: data, as: UTF8.self) else { throw CommandError("\(file): is not UTF-8") }
        return text
    }
}
