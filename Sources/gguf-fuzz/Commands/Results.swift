import ArgumentParser
import Architectures
import Devices
import GGUF
import Inference

struct Results: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write what a model gives for some tokens to a file, or check a model against such a file.",
        discussion: """
            Results are logits, or embeddings of encoders, at every position, in a GGUF file.

            Examples:
              gguf-fuzz results write --model m.gguf --tokens 1,2,3 -o m.results.gguf
              gguf-fuzz results check --model m.gguf --device cpu -i m.results.gguf
            """,
        subcommands: [Write.self, Check.self])
}

extension Results {
    struct Write: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Write the logits of every position, or the embeddings of an encoder, to a file.")

        @Option(help: "The GGUF file of the model.")
        var model: String
        @Option(help: "Token ids, separated by commas.")
        var tokens: TokenList
        @Option(help: "Token ids for the encoder of an encoder-decoder model (default: those of --tokens).")
        var encoderTokens: TokenList?
        @Option(name: [.customShort("o"), .customLong("output")], help: "The file to write.")
        var output: String
        @Option(help: "Device that runs the model.")
        var device = "reference"
        @Option(help: "Storage of keys and values.")
        var cache = StateType.full
        @Option(help: "Tokens that the caches hold (default: the model's own context, at most 4096).")
        var context: Int?
        @Option(help: "How the embeddings of all positions become one (default: as the model says).")
        var pooling: PoolingName?
        @OptionGroup var engine: EngineOptions

        func run() throws {
            guard output != model else { throw CommandError("--output \(output): is the model itself") }
            let model = try LoadedModel(path: model)
            let device = try DeviceSet.all(threads: engine.threads).device(device)
            let hasEncoder = model.model.architecture.traits.hasEncoder
            guard encoderTokens == nil || hasEncoder else {
                throw CommandError("--encoder-tokens: \(model.path) has no encoder")
            }
            let results = try model.results(
                tokens: tokens.ids, encoderTokens: hasEncoder ? (encoderTokens ?? tokens).ids : [], device: device,
                cache: cache, context: context, pooling: pooling?.pooling, engine: engine)
            try results.write(to: output)
            print("\(output): \(results.kind.rawValue), \(results.rows.count) × \(results.width), \(device.name)")
        }
    }

    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Run a model on the tokens of a results file and compare, position by position.",
            discussion: "Exit status 1 if a position's normalised mean squared error (NMSE) is above the tolerance.")

        @Option(help: "The GGUF file of the model.")
        var model: String
        @Option(name: [.customShort("i"), .customLong("input")], help: "The results file.")
        var input: String
        @Option(help: "Token ids, if they are to be those of the results file.")
        var tokens: TokenList?
        @Option(help: "Device that runs the model.")
        var device = "cpu"
        @Option(help: "Largest NMSE of a position.")
        var tolerance = 1e-6
        @Option(help: "Storage of keys and values (default: as in the results file).")
        var cache: StateType?
        @Flag(help: "Print only the verdict.")
        var quiet = false
        @OptionGroup var engine: EngineOptions

        func validate() throws {
            guard tolerance >= 0 else { throw ValidationError("--tolerance \(tolerance): must not be negative") }
        }

        func run() throws {
            let expected = try ResultsFile(reading: input)
            let model = try LoadedModel(path: model)
            guard model.hash == expected.modelHash else {
                throw CommandError(
                    "\(input): is of another model, \(expected.modelName), whose SHA-256 is \(expected.modelHash)")
            }
            guard tokens == nil || tokens?.ids == expected.tokens else {
                throw CommandError(
                    "\(input): is of other tokens, \(expected.tokens.map(String.init).joined(separator: ","))")
            }
            let device = try DeviceSet.all(threads: engine.threads).device(device)
            let found = try model.results(
                tokens: expected.tokens, encoderTokens: expected.encoderTokens, device: device,
                cache: cache ?? expected.cacheType, context: expected.context, pooling: expected.pooling,
                engine: engine)
            guard found.kind == expected.kind, found.rows.count == expected.rows.count, found.width == expected.width
            else {
                throw CommandError(
                    "\(input): holds \(expected.kind.rawValue) \(expected.rows.count) × \(expected.width), "
                        + "the model gives \(found.kind.rawValue) \(found.rows.count) × \(found.width)")
            }
            try report(expected, found)
        }

        private func report(_ expected: ResultsFile, _ found: ResultsFile) throws {
            let comparison = RowComparison(expected: expected.rows, found: found.rows)
            let hasTops = found.kind == .logits
            if !quiet {
                var table = TextTable(["row", "token", "NMSE"] + (hasTops ? ["top-1"] : []), rightAligned: [0, 1, 2])
                for (row, error) in comparison.errors.enumerated() {
                    let token = found.rows.count == found.tokens.count ? "\(found.tokens[row])" : "all"
                    var cells = ["\(row)", token, Format.error(error)]
                    if hasTops, let mine = RowComparison.top(found.rows[row]),
                        let other = RowComparison.top(expected.rows[row])
                    {
                        cells.append(mine == other ? "\(mine)" : "\(mine), expected \(other)")
                    }
                    table.rows.append(cells)
                }
                table.print()
            }
            let agrees = comparison.worstError <= tolerance
            let tops = hasTops ? ", top-1 agrees in \(comparison.agreeingTops) of \(comparison.errors.count) rows" : ""
            print(
                "\(agrees ? "agrees" : "differs"): \(found.placement) against \(expected.placement), "
                    + "NMSE \(Format.error(comparison.worstError)) in row \(comparison.worst)\(tops); "
                    + "tolerance \(Format.error(tolerance))")
            if !agrees { throw ExitStatus.propertyFailed }
        }
    }
}
