import ArgumentParser
import Devices
import Foundation
import Fuzzing
import GGUF

struct ResultsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "results",
        abstract: "Keep what a model gives for some tokens in a file, and hold other engines and versions to it.",
        discussion: """
            Results are the logits of every token, or the embeddings of an encoder, in a GGUF file. llama.cpp's own \
            llama-results checks such files, and its files are checked here. Any engine and device can be checked \
            against any other.

            A model that was split into parts is named by any of them.

            Examples:
              gguf-fuzz results write --model m.gguf --tokens 1,2,3 -o r.gguf
              gguf-fuzz results check --model m.gguf --device vulkan0 -i r.gguf
              gguf-fuzz results check --model m-q8_0.gguf -i r.gguf --tolerance 1e-3
            """,
        subcommands: [Write.self, Check.self])
}

extension ResultsCommand {
    struct Write: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Write the logits of a model, or the embeddings of an encoder, to a file.",
            discussion: """
                The file also says which model it is of, by the SHA-256 of its content, and what made it. A model of \
                which a result is not a number has no results: exit status 1.

                Examples:
                  gguf-fuzz results write --model m.gguf --tokens 1,2,3 -o r.gguf
                  gguf-fuzz results write --model m.gguf --prompt 'Once' --top 64 -o r.gguf
                  gguf-fuzz results write --model m.gguf --tokens 1,2 --device reference -o r.gguf
                """)

        @Option(help: ArgumentHelp("The GGUF file of the model.", valueName: "file"))
        var model: String
        @Option(help: ArgumentHelp("Token ids, separated by commas.", valueName: "ids"))
        var tokens: TokenList?
        @Option(help: ArgumentHelp("A text, whose tokens the model's own tokenizer makes.", valueName: "text"))
        var prompt: String?
        @Option(help: ArgumentHelp(
            "Token ids for the encoder of an encoder-decoder model. (default: those of the decoder)", valueName: "ids"))
        var encoderTokens: TokenList?
        @Option(
            name: [.customShort("o"), .customLong("output")],
            help: ArgumentHelp("The file to write.", valueName: "file"))
        var output: String
        @Option(help: "Keep only so many of each row's logits, the greatest, with their tokens.")
        var top: Int?
        @Flag(help: "Keep only the last token's row.")
        var last = false
        @Option(help: "Storage of keys and values.")
        var cache = StateType.full
        @Option(help: "Tokens that the caches hold. (default: the model's own context, at most 4096)")
        var context: Int?
        @Flag(help: ArgumentHelp(
            "Also write the residual stream of all tokens after each block: layer.0, layer.1, … (builtin engine)."))
        var layers = false
        @Flag(help: ArgumentHelp(
            "Also write the embeddings behind the logits, of a draft the states that it goes on from: embeddings "
                + "(builtin engine)."))
        var embeddings = false
        @Flag(help: "Do not work out the model's SHA-256.")
        var noHash = false
        @OptionGroup var engine: EngineOptions

        func validate() throws {
            guard (tokens == nil) != (prompt == nil) else {
                throw ValidationError("one of --tokens and --prompt says what the model is given")
            }
            if let top, top < 1 { throw ValidationError("--top \(top): must be at least 1") }
        }

        func run() throws {
            let isModel = CommandError("--output \(output): is the model itself")
            guard output != model else { throw isModel }
            var file = try ModelFile(path: model)
            guard !file.source.files.contains(where: { $0.path == output }) else { throw isModel }
            let ids = try tokens?.ids ?? file.tokens(of: prompt ?? "")
            file.removeTokenizer()
            let isPooled = file.architecture.map { $0.traits.pooling != .none } ?? false
            let evaluation = try Evaluation(
                file, tokens: ids, encoderTokens: encoderTokens?.ids,
                positions: last && !isPooled ? [ids.count - 1] : nil, cacheType: cache,
                flashAttention: engine.flashAttention.map { $0 == .on }, context: context)
            let engine = try engine.open()
            let hash = try file.read(hashing: !noHash)
            let rows = try RowFile(top: top, beside: output)
            var more: ResultsFile.More = []
            if layers { more.insert(.layers) }
            if embeddings { more.insert(.embeddings) }
            var blocks: [BlockRows] = []
            try engine.check(
                more.isEmpty
                    ? evaluation.write(rows, of: file, on: engine)
                    : evaluation.write(rows, more, blocks: &blocks, of: file, on: engine))
            guard rows.tops == nil || rows.kind == .logits else {
                throw CommandError("--top: \(model) gives embeddings, of which all elements count")
            }
            if let row = rows.firstWithoutNumber {
                let what = "\(rows.kind.rawValue) of row \(row)"
                Terminal.line("\(model): \(what) are not a number on \(engine.placement)")
                throw ExitStatus.propertyFailed
            }
            try ResultsFile.write(
                rows, blocks: blocks, of: evaluation, model: file, hash: hash, engine: engine, to: output)
            let width = rows.tops == nil ? "\(rows.width)" : "the top \(rows.width) of \(rows.modelWidth)"
            let count = blocks.count { $0.name != "embeddings" }
            let layers = count == 0 ? "" : ", \(Format.amount(count, "block"))"
            print("\(output): \(rows.kind.rawValue), \(rows.keys.count) × \(width)\(layers), \(engine.device.name)")
        }
    }

    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Run a model on the tokens of a results file, and compare row by row.",
            discussion: """
                A row is what belongs to one token. Two rows differ by their normalised mean squared error (NMSE), \
                Σ (found − expected)² / Σ expected²; the probabilities that logits stand for also by their \
                Kullback-Leibler divergence (KL, in nats). Of many rows the worst are printed, and how all are spread.

                --noise-floor holds the rows to what correct arithmetic of the devices' precision may make of this \
                model and these tokens: the float64 reference runs them with every result rounded at random. That \
                takes as long as the reference does, many times.

                A model whose SHA-256 is not the one in the file is compared all the same, and that is said.

                Exit status: 0 all rows agree, or correct arithmetic may choose another expert, which is said; 1 one \
                differs, or the engine died; 2 bad input.

                Examples:
                  gguf-fuzz results check --model m.gguf -i r.gguf
                  gguf-fuzz results check --model m.gguf -i r.gguf --noise-floor
                  gguf-fuzz results check --model m.gguf -i r.gguf --engine worker=./mine
                """)

        @Option(help: ArgumentHelp("The GGUF file of the model.", valueName: "file"))
        var model: String
        @Option(
            name: [.customShort("i"), .customLong("input")],
            help: ArgumentHelp("The results file.", valueName: "file"))
        var input: String
        @Option(help: ArgumentHelp("The largest NMSE of a row. (default: 1e-06)", valueName: "nmse"))
        var tolerance: Double?
        @Flag(help: "Judge by the noise floor of this model and these tokens instead.")
        var noiseFloor = false
        @Flag(help: "Refuse a model whose SHA-256 is not the one in the file.")
        var sameModel = false
        @Flag(help: "Do not work out the model's SHA-256.")
        var noHash = false
        @Option(help: "Storage of keys and values. (default: as in the results file; f16 for one of llama-results)")
        var cache: StateType?
        @Flag(help: "Print every row.")
        var all = false
        @Flag(help: "Print only the verdict.")
        var quiet = false
        @Option(help: ArgumentHelp("Also write the comparison to this file, as one JSON object.", valueName: "file"))
        var json: String?
        @OptionGroup var engine: EngineOptions

        func validate() throws {
            if let tolerance, !(tolerance >= 0) {
                throw ValidationError("--tolerance \(tolerance): must not be negative")
            }
            guard tolerance == nil || !noiseFloor else {
                throw ValidationError("--tolerance, --noise-floor: only one of them")
            }
            guard !sameModel || !noHash else { throw ValidationError("--same-model, --no-hash: only one of them") }
        }

        func run() throws {
            let expected = try ResultsFile(reading: input)
            var file = try ModelFile(path: model)
            file.removeTokenizer()
            let evaluation = try Evaluation(
                file, tokens: expected.tokens,
                encoderTokens: expected.encoderTokens.isEmpty ? nil : expected.encoderTokens,
                positions: expected.positions, cacheType: cache ?? expected.origin.cacheType,
                flashAttention: engine.flashAttention.map { $0 == .on } ?? expected.origin.flashAttention,
                context: expected.origin.context)
            let engine = try engine.open()
            let hash = try file.read(hashing: !noHash && (sameModel || expected.origin.modelHash != nil))
            try check(hash, expected)

            let results = try evaluation.results(of: file, on: engine)
            try engine.check(results.fallbacks)
            var comparison = try RowComparison(expected, results, path: input)
            var limit = ComparisonReport.Limit.tolerance(tolerance ?? 1e-6)
            if noiseFloor {
                var noise = try ReferenceNoise(
                    evaluation, of: file, expected: expected, found: engine.device.precision)
                for (row, multiple) in try noise.multiples(results).enumerated() {
                    comparison.rows[row].noise = multiple
                }
                limit = .noise(NoiseFloor.limit, hasTies: noise.hasTies)
            }

            let report = ComparisonReport(comparison: comparison, limit: limit, expected: expected, found: engine)
            if !quiet { report.printRows(all: all) }
            print(report.line)
            if let json { try ReplacementFile.save(report.json(model: model, hash: hash), to: json) }
            if report.verdict == .differs { throw ExitStatus.propertyFailed }
        }

        private func check(_ hash: String?, _ expected: ResultsFile) throws {
            guard let own = expected.origin.modelHash else {
                if sameModel { throw CommandError("\(input): does not say the SHA-256 of its model") }
                return
            }
            guard let hash, hash != own else { return }
            let text = "\(input): is of another model, \(expected.modelPath), whose SHA-256 is \(own)"
            if sameModel { throw CommandError(text) }
            Terminal.note("note: \(text)")
        }
    }
}
