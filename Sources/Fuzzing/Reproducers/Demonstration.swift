import Architectures
import Devices
import Engines
import Foundation
import Inference

/// The functions of a program that show what a check found, `main` the last of them.
struct Demonstration {
    private(set) var functions: [String] = []
    /// Of the check `metamorphic`: what the model is compared with.
    private(set) var transformed: (any TensorSource)?
    private let yardstick: Yardstick
    private let exact: Transcript

    /// - Parameter kind: of the failure, as its signature has it.
    /// - Throws: `MetadataError`, `GraphError` or `ModelError` where the case has no valid model.
    init(_ subject: Case, _ kind: String, _ yardstick: Yardstick, _ files: LlamaProgram.Files) throws {
        self.yardstick = yardstick
        exact = try yardstick.transcript()
        let optional = Set(subject.optionalTensors)
        let architecture = try ArchitectureCatalog.read(subject.metadata)
        let model = try ProgramScript.Model(architecture, optionalTensors: optional)
        var scripts = [ProgramScript("script", "The script.", subject.script, model, exact)]
        var expected: [String] = []
        var lines = Self.loading
        let isOfNumbers = ["mismatch", "not finite"].contains(kind)

        switch subject.check {
        // Whatever the check: what is no number is so beside the reference.
        case _ where kind == "not finite", .agrees where isOfNumbers, .placement where isOfNumbers:
            let rows = try rows(isExact: true)
            expected = [table(rows)]
            lines += ["const rows found = script(model);"] + verdict(rows, "found", "expected")
        case .agrees, .placement:
            lines += ["script(model);", "printf(\"every step was done\\n\");", "return 0;"]
        case .chunking, .isolation, .state:
            let traits = try SessionTraits(architecture, optional: .only(optional))
            lines += ["const rows found = script(model);", "bool is_right = true;"]
            for (number, plain) in History(subject.script, traits).plain.enumerated() {
                scripts.append(
                    ProgramScript("plain_\(number)", "One of its sequences by itself, in one batch.", plain.script, model))
                lines += ["const rows expected_\(number) = plain_\(number)(model);"]
                let step = plain.script.steps.count - 1
                for row in plain.rows {
                    guard let limit = try yardstick.limit(step: row.step, key: row.original, isExact: false) else { continue }
                    let found = Row(step: row.step, key: row.original, limit: limit)
                    lines.append(agreement(found, "found", "expected_\(number).at({\(step), \(row.key)})"))
                }
            }
            lines.append("return is_right ? 0 : 1;")
        case .determinism:
            lines += [
                "const rows first = script(model);", "bool is_right = true;", "for (int i = 0; i < 3; i++) {",
                "    is_right &= same_bits(\"another run\", first, script(model));", "}", "return is_right ? 0 : 1;",
            ]
        case .roundtrip:
            lines = Self.loadingFromMemory + ["const rows first = script(model);", ""]
            lines += [
                Self.announcement("saving it"), "const char * saved = \(files.saved.literal);",
                "llama_model_save_to_file(model, saved);", "if (!has_tensors_of(saved, path)) {", "    return 1;", "}",
                "", Self.announcement("loading what was saved"),
                "llama_model * again = llama_model_load_from_file(saved, model_params());",
                "require(again != nullptr, \"what was saved is a model\");", "const rows second = script(again);",
            ]
            lines += try sameOutputs(subject, "the saved model")
        case .loaders:
            lines = Self.loadingFromMemory + ["const rows first = script(model);", ""]
            lines += [
                Self.announcement("loading it from the file"),
                "llama_model * again = llama_model_load_from_file(path, model_params());",
                "require(again != nullptr, \"a model in memory is one in a file\");", "const rows second = script(again);",
            ]
            lines += try sameOutputs(subject, "the model in a file")
        case .metamorphic:
            transformed = try subject.transformation?.applied(to: subject.source())
            lines += ["const rows first = script(model);", ""]
            lines += [
                Self.announcement("loading the transformed model"),
                "const char * other = argc > 2 ? argv[2] : \(files.transformed.literal);",
                "llama_model * transformed = llama_model_load_from_file(other, model_params());",
                "if (transformed == nullptr) {", "    unavailable(other);", "}",
                "const rows second = script(transformed);",
            ]
            lines += verdict(try rows(isExact: false), "second", "first")
        case .rejects:
            lines = []
        }
        functions = expected + ProgramScript.functions(scripts) + [Self.main(files, lines)]
    }

    /// Metadata that contradict themselves, as a model in memory and as a file.
    static func refusal(_ files: LlamaProgram.Files) -> String {
        main(files, [
            announcement("loading it as a model in memory"),
            "llama_model * model = load_from_memory(path, model_params());",
            "require(model == nullptr, \"it is refused\");", "", announcement("loading it as a file"),
            "model = llama_model_load_from_file(path, model_params());",
            "require(model == nullptr, \"it is refused\");", "printf(\"refused\\n\");", "return 0;",
        ])
    }

    // MARK: main

    private static func main(_ files: LlamaProgram.Files, _ lines: [String]) -> String {
        let start = [
            "const char * path = argc > 1 ? argv[1] : \(files.model.literal);", "llama_log_set(print_errors, nullptr);",
            "ggml_backend_load_all();", "llama_backend_init();", "",
        ]
        let comparison = lines.contains { $0.contains("agree(") } ? limits : ""
        return comparison + "int main(int argc, char ** argv) {\n"
            + (start + lines).map { $0.isEmpty ? "\n" : "    \($0)\n" }.joined() + "}"
    }

    private static let limits = """
        // Limits of the error are \(Int(NoiseFloor.limit)) times the noise floor, of two results that both have errors twice that: the largest
        // error of \(NoiseFloor.samples) computations in which each intermediate result is rounded as the device does, at random.

        """

    private static func announcement(_ text: String) -> String { "fprintf(stderr, \("\(text)\n".literal));" }

    private static let loading = loading("llama_model_load_from_file")
    private static let loadingFromMemory = loading("load_from_memory")

    private static func loading(_ function: String) -> [String] {
        [
            announcement("loading the model"), "llama_model * model = \(function)(path, model_params());",
            "if (model == nullptr) {", "    unavailable(path);", "}", "",
        ]
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
            try (result.rows?.keys ?? []).compactMap { key in
                try yardstick.limit(step: step, key: key, isExact: isExact).map { Row(step: step, key: key, limit: $0) }
            }
        }
    }

    /// The reference's.
    private func table(_ rows: [Row]) -> String {
        let entries = rows.map { row in
            let elements = exact.results[row.step].rows?.row(of: row.key) ?? []
            let lines = elements.map { "\(Float($0))," }.filled().map { "            \($0)\n" }
            return "    {\n        \(row.place),\n        {\n\(lines.joined())        },\n    },\n"
        }
        return "// What is right, computed in float64.\nstatic const rows expected = {\n\(entries.joined())};"
    }

    private func verdict(_ rows: [Row], _ found: String, _ expected: String) -> [String] {
        ["bool is_right = true;"] + rows.map { agreement($0, found, "\(expected).at(\($0.place))") }
            + ["return is_right ? 0 : 1;"]
    }

    private func agreement(_ row: Row, _ found: String, _ expected: String) -> String {
        let name = "step \(row.step), row \(row.key)".literal
        return "is_right &= agree(\(name), \(found).at(\(row.place)), \(expected), \(row.limit.short));"
    }

    /// Of a model in memory and of its file: the same bits, or where kernels depend on which tensors there are, the same
    /// numbers.
    private func sameOutputs(_ subject: Case, _ what: String) throws -> [String] {
        let isOnCPU = subject.script.placement.namedDevices == [LlamaDevices.cpu]
        return isOnCPU
            ? ["return same_bits(\(what.literal), first, second) ? 0 : 1;"]
            : verdict(try rows(isExact: false), "second", "first")
    }
}

extension Double {
    /// Three digits of it.
    fileprivate var short: String { String(format: "%.3g", self) }
}
