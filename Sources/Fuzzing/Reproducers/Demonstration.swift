import Architectures
import Devices
import Engines
import Foundation
import GGUF
import Inference
import Tokenizers

/// The functions of a program that show what a check found, `main` the last of them.
struct Demonstration {
    private let files: LlamaProgram.Files
    private let subject: Case
    private let model: ProgramScript.Model
    private let traits: SessionTraits
    private let yardstick: Yardstick
    private let exact: Transcript

    private var scripts: [ProgramScript]
    /// What `main` does between its start and its end, which returns whether `is_right`.
    private var lines: [String] = []
    /// The models that `main` has loaded.
    private var models: [String] = []
    /// What is right, where that is no other run of the program's own.
    private var table: [String] = []
    /// What limits there are.
    private var comment = ""
    /// Of the check `metamorphic`: what the model is compared with.
    private(set) var transformed: (any TensorSource)?

    /// - Parameter kind: of the failure, as its signature has it.
    /// - Throws: `MetadataError`, `GraphError` or `ModelError` where the case has no valid model.
    init(_ subject: Case, _ kind: String, _ yardstick: Yardstick, _ files: LlamaProgram.Files) throws {
        self.files = files
        self.subject = subject
        self.yardstick = yardstick
        let architecture = try ArchitectureCatalog.read(subject.metadata)
        var model = try ProgramScript.Model(architecture, optionalTensors: Set(subject.optionalTensors))
        model.adapters = (subject.adapters ?? []).enumerated().map { ($1, files.adapter($0)) }
        self.model = model
        traits = try SessionTraits(architecture, optional: .only(Set(subject.optionalTensors)))
        exact = try yardstick.transcript()
        scripts = [ProgramScript("script", "The script.", subject.script, model, exact)]
        switch subject.check {
        // Whatever the check: what is no number is so beside the reference.
        case _ where kind == "not finite": try compareWithReference()
        case .agrees where kind == "mismatch", .placement where kind == "mismatch": try compareWithReference()
        // Engines that give no gradients are asked for none.
        case .agrees, .placement, .gradients, .trains: run()
        case .chunking, .isolation, .state: try compareWithPlainScripts()
        case .settings: try compareWithPlainSettings()
        case .determinism: runAgain()
        case .roundtrip: try compareWithSavedModel()
        case .loaders: try compareWithFile()
        case .metamorphic: try compareWithTransformedModel()
        case .rejects, .malformed, .tokenizes: break
        }
    }

    var functions: [String] {
        let end = models.reversed().map { "llama_model_free(\($0));" } + ["return is_right ? 0 : 1;"]
        return table + ProgramScript.functions(scripts) + [comment + Self.main(files, lines + end)]
    }

    // MARK: Checks

    private mutating func compareWithReference() throws {
        let rows = try rows(isExact: true)
        table = [self.table(of: rows)]
        load("model", from: "path")
        lines.append("const rows found = script(model);")
        compare(rows, "found", "expected")
        comment = yardstick.limits(isExact: true)
    }

    /// For what does not come to its end.
    private mutating func run() {
        load("model", from: "path")
        lines += ["script(model);", "printf(\"every step was done\\n\");", "const bool is_right = true;"]
    }

    private mutating func compareWithPlainScripts() throws {
        load("model", from: "path")
        lines += ["const rows found = script(model);", "bool is_right = true;"]
        for (number, plain) in History(subject.script, traits).plain.enumerated() {
            scripts.append(
                ProgramScript(
                    "plain_\(number)", "One of its sequences by itself, in one batch.", prefix: "plain \(number): ",
                    plain.script, model))
            lines.append("const rows expected_\(number) = plain_\(number)(model);")
            let last = plain.script.steps.count - 1
            for row in plain.rows {
                guard let found = try self.row(step: row.step, key: row.original, isExact: false) else { continue }
                lines.append(agreement(found, "found", "expected_\(number).at({\(last), \(row.key)})"))
            }
        }
        comment = yardstick.limits(isExact: false)
    }

    private mutating func compareWithPlainSettings() throws {
        load("model", from: "path")
        lines += ["const rows first = script(model);", ""]
        load("plain", from: "path", parameters: "plain_model_params()")
        scripts.append(
            ProgramScript(
                "plain_script", "The script with settings as they are by themselves.", prefix: "plain: ",
                subject.script.withPlainSettings(traits), model))
        lines.append("const rows second = plain_script(plain);")
        compare(try rows(isExact: false), "second", "first")
        comment = yardstick.limits(isExact: false)
    }

    private mutating func runAgain() {
        load("model", from: "path")
        lines += [
            "const rows first = script(model);", "bool is_right = true;", "for (int i = 0; i < 3; i++) {",
            "    is_right &= same_bits(\"another run\", first, script(model));", "}",
        ]
    }

    private mutating func compareWithSavedModel() throws {
        load("model", from: "path", by: "load_from_memory")
        lines += [
            "const rows first = script(model);", "", Self.announcement("saving it"),
            "const char * saved = \(files.saved.literal);", "llama_model_save_to_file(model, saved);",
            "require(has_tensors_of(saved, path), \"what was saved has the model's tensors\");", "",
        ]
        try compareAgain("saved", "the saved model")
    }

    private mutating func compareWithFile() throws {
        load("model", from: "path", by: "load_from_memory")
        lines += ["const rows first = script(model);", ""]
        try compareAgain("path", "the model in its file")
    }

    /// The model that is loaded from another place, which llama.cpp must take: it has taken it before.
    private mutating func compareAgain(_ path: String, _ what: String) throws {
        load("again", from: path, mustHold: "\(what) is loaded")
        lines.append("const rows second = script(again);")
        // Elsewhere kernels depend on which tensors there are: the numbers are the same, the bits are not.
        let isRepacked = subject.script.options.settings[.repackedWeights].flag
        if subject.script.placement.namedDevices == [LlamaDevices.cpu], !isRepacked {
            lines.append("const bool is_right = same_bits(\(what.literal), first, second);")
        } else {
            compare(try rows(isExact: false), "second", "first")
            comment = yardstick.limits(isExact: false)
        }
    }

    private mutating func compareWithTransformedModel() throws {
        guard let transformation = subject.transformation else {
            throw ModelError(subject: "case.transformation", reason: "is missing")
        }
        transformed = try transformation.applied(to: subject.source())
        load("model", from: "path")
        lines += [
            "const rows first = script(model);", "",
            "const char * other = argc > 2 ? argv[2] : \(files.transformed.literal);",
        ]
        load("transformed", from: "other")
        lines.append("const rows second = script(transformed);")
        compare(try rows(isExact: false), "second", "first")
        comment = yardstick.limits(isExact: false)
    }

    /// Metadata that contradict themselves, or a damaged file, as a model in memory and as a file: either may be
    /// refused or even taken, if llama.cpp survives it. So may the tokenizer of a damaged file.
    static func refusal(_ files: LlamaProgram.Files, readsVocabulary: Bool) -> String {
        let vocabulary = [
            "", announcement("using its tokenizer"), "llama_model_params vocabulary = model_params();",
            "vocabulary.vocab_only = true;", "model = llama_model_load_from_file(path, vocabulary);",
            "if (model != nullptr && llama_vocab_type(llama_model_get_vocab(model)) != LLAMA_VOCAB_TYPE_NONE) {",
            "    llama_token tokens[256];", "    const char * texts[] = {\"<0><1>\", \"<1> Hello, world!\"};",
            "    for (const char * text : texts) {",
            "        llama_tokenize(llama_model_get_vocab(model), text, strlen(text), tokens, 256, true, true);",
            "    }", "}", "llama_model_free(model);",
        ]
        return main(files, [
            announcement("loading it as a model in memory"),
            "llama_model * model = load_from_memory(path, model_params());",
            "printf(\"%s in memory\\n\", model == nullptr ? \"refused\" : \"accepted\");", "llama_model_free(model);",
            "", announcement("loading it as a file"), "model = llama_model_load_from_file(path, model_params());",
            "printf(\"%s as a file\\n\", model == nullptr ? \"refused\" : \"accepted\");", "llama_model_free(model);",
        ] + (readsVocabulary ? vocabulary : []) + ["return 0;"])
    }

    /// Texts, and what the tokenizer of a file is expected to make of them.
    static func tokens(of tokenization: Tokenization, _ metadata: Metadata, _ files: LlamaProgram.Files) -> [String] {
        let tokenizer = try? Tokenizer(tokenization.added(to: metadata))
        let texts = tokenization.texts.flatMap { text -> [String] in
            let pieces = text.pieces.map { piece in
                let literal = "\(piece.bytes.literal), \(piece.bytes.count)"
                return piece.times == 1
                    ? "text.append(\(literal));" : "for (int i = 0; i < \(piece.times); i++) text.append(\(literal));"
            }
            let options = "\(text.addSpecial), \(text.parseSpecial)"
            let ids = String(validating: text.bytes, as: UTF8.self).flatMap {
                try? tokenizer?.encode($0, addSpecial: text.addSpecial, parseSpecial: text.parseSpecial)
            }
            // Of a long text whether it is survived is told, and not each token.
            let call = ids.flatMap { $0.count > longestList ? nil : $0 }.map { ids in
                "expect_tokens(model, text, \(options), {\(ids.map(String.init).joined(separator: ", "))});"
            } ?? "tokens(model, text, \(options));"
            return ["text.clear();"] + pieces + [announcement(text.summary), call]
        }
        return [
            main(files, [
                announcement("reading the tokenizer"), "llama_model_params parameters = llama_model_default_params();",
                "parameters.vocab_only = true;", "llama_model * model = llama_model_load_from_file(path, parameters);",
                "if (model == nullptr || llama_vocab_type(llama_model_get_vocab(model)) == LLAMA_VOCAB_TYPE_NONE) {",
                "    unavailable(\"a tokenizer\");", "}", "std::string text;",
            ] + texts + ["llama_model_free(model);", "return 0;"]),
        ]
    }

    private static let longestList = 256

    /// A damaged adapter, which may be refused or even taken, if llama.cpp survives it and a batch with it.
    static func refusalOfAdapter(_ files: LlamaProgram.Files) -> String {
        let path = files.adapter(0).literal
        return main(files, [
            "llama_model * model = llama_model_load_from_file(path, model_params());", "if (model == nullptr) {",
            "    unavailable(path);", "}", announcement("loading the adapter"),
            "llama_adapter_lora * adapter = llama_adapter_lora_init(model, \(path));",
            "printf(\"%s\\n\", adapter == nullptr ? \"refused\" : \"accepted\");", "if (adapter == nullptr) {",
            "    return 0;", "}", "llama_context * ctx = llama_init_from_model(model, llama_context_default_params());",
            "if (ctx == nullptr) {", "    unavailable(\"llama.cpp opens no context\");", "}", "float scale = 1;",
            "llama_set_adapters_lora(ctx, &adapter, 1, &scale);", "", announcement("processing a token"),
            "llama_token token = 0;", "llama_decode(ctx, llama_batch_get_one(&token, 1));", "llama_free(ctx);",
            "llama_model_free(model);", "return 0;",
        ])
    }

    // MARK: main

    private static func main(_ files: LlamaProgram.Files, _ lines: [String]) -> String {
        let start = [
            "const char * path = argc > 1 ? argv[1] : \(files.model.literal);", "llama_log_set(print_errors, nullptr);",
            "ggml_backend_load_all();", "llama_backend_init();", "",
        ]
        return "int main(int argc, char ** argv) {\n"
            + (start + lines).map { $0.isEmpty ? "\n" : "    \($0)\n" }.joined() + "}"
    }

    private static func announcement(_ text: String) -> String { "fprintf(stderr, \("\(text)\n".literal));" }

    /// - Parameters:
    ///   - model: the name of the variable.
    ///   - path: that of the variable that has it.
    ///   - promise: what does not hold where llama.cpp refuses the model; nil: it may.
    private mutating func load(
        _ model: String, from path: String, by function: String = "llama_model_load_from_file",
        parameters: String = "model_params()", mustHold promise: String? = nil
    ) {
        lines += [
            "fprintf(stderr, \"loading %s\\n\", \(path));",
            "llama_model * \(model) = \(function)(\(path), \(parameters));",
        ]
        lines += promise.map { ["require(\(model) != nullptr, \($0.literal));"] }
            ?? ["if (\(model) == nullptr) {", "    unavailable(\(path));", "}"]
        lines.append("")
        models.append(model)
    }

    // MARK: Rows

    /// One that is compared.
    private struct Row {
        var step: Int
        /// Token of its batch or, pooled, sequence.
        var key: Int
        /// How far it may be from what is expected, as a part of that one's length.
        var limit: Double
        var place: String { "{\(step), \(key)}" }
    }

    /// All of the script's.
    private func rows(isExact: Bool) throws -> [Row] {
        try exact.results.enumerated().flatMap { step, result in
            try (result.rows?.keys ?? []).compactMap { try row(step: step, key: $0, isExact: isExact) }
        }
    }

    /// nil: it may be anything.
    private func row(step: Int, key: Int, isExact: Bool) throws -> Row? {
        try yardstick.limit(step: step, key: key, isExact: isExact).map { Row(step: step, key: key, limit: $0) }
    }

    /// The reference's.
    private func table(of rows: [Row]) -> String {
        let entries = rows.map { row in
            let elements = exact.results[row.step].rows?.row(of: row.key) ?? []
            let lines = elements.map { "\(Float($0))," }.filled().map { "        \($0)\n" }
            return "    {\(row.place), {\n\(lines.joined())    }},\n"
        }
        return "// As the model's authors define it, computed in float64.\n"
            + "static const rows expected = {\n\(entries.joined())};"
    }

    private mutating func compare(_ rows: [Row], _ found: String, _ expected: String) {
        lines.append("bool is_right = true;")
        lines += rows.map { agreement($0, found, "\(expected).at(\($0.place))") }
    }

    private func agreement(_ row: Row, _ found: String, _ expected: String) -> String {
        let name = "step \(row.step), row \(row.key)".literal
        return "is_right &= agree(\(name), \(found).at(\(row.place)), \(expected), \(row.limit.short));"
    }
}

extension Double {
    /// Three digits of it.
    fileprivate var short: String { String(format: "%.3g", self) }
}
