import ArgumentParser
import Foundation
import GGUF
import Tokenizers

struct Tokenize: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print the token ids of a text, by the tokenizer that a GGUF file holds.",
        discussion: """
            The ids are those of llama.cpp, on one line, separated by spaces; an empty text has an empty line.

            Examples:
              gguf-fuzz tokenize --model m.gguf --prompt 'Hello world'
              gguf-fuzz tokenize --model m.gguf --file text.txt --add-special
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

    func validate() throws {
        guard (prompt == nil) != (file == nil) else { throw ValidationError("either --prompt or --file must be given") }
    }

    func run() throws {
        let text = try text()
        let metadata = try GGUFFile(path: model).metadata
        let ids = try CommandError.naming(model) {
            try Tokenizer(metadata).encode(text, addSpecial: addSpecial, parseSpecial: parseSpecial)
        }
        print(ids.map(String.init).joined(separator: " "))
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
