import ArgumentParser
import Architectures
import Foundation
import GGUF
import Inference

struct Generate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Draw a toy model and write it to a GGUF file.",
        discussion: """
            Metadata, optional tensors and weights depend on architecture, seed and case alone.

            --like takes the metadata from a GGUF file, which need not hold any tensors, and draws the weights only: a \
            model of a real shape and with a real tokenizer, of any size, since one tensor at a time is in memory.

            Examples:
              gguf-fuzz generate --arch kimi-linear --seed 1 -o toy.gguf
              gguf-fuzz generate --arch all --seed 1 --cases 50 -o toys
              gguf-fuzz generate --arch jamba --seed 7 --adversity outliers -o toy.gguf
              gguf-fuzz generate --like m.gguf --set llama.block_count=2 --seed 1 --type Q4_K -o m2.gguf
            """)

    @Option(help: "Architectures, separated by commas, or all.")
    var arch: NameList?
    @Option(help: ArgumentHelp("A GGUF file whose metadata the model takes, instead of drawn ones.", valueName: "file"))
    var like: String?
    @Option(help: ArgumentHelp(
        "A key of the metadata, by its whole name, and its value; may be repeated.", valueName: "key=value"))
    var set: [MetadataSetting] = []
    @Option(help: "Seed of the random numbers.")
    var seed: UInt64
    @Option(name: .customLong("case"), help: "Which of the seed's models; the first, where --cases is more than one.")
    var index: UInt64 = 0
    @Option(help: "How many models of each architecture.")
    var cases: UInt64 = 1
    @Option(help: "Type of the large matrices.")
    var type = MatrixType.f32
    @Option(help: "Weights that are legal but unlike a trained model's; may be repeated.")
    var adversity: [Adversity] = []
    @Option(
        name: [.customShort("o"), .customLong("output")],
        help: "The file to write, or for several models a folder.")
    var output: String

    func validate() throws {
        guard (arch == nil) != (like == nil) else {
            throw ValidationError("one of --arch and --like says what is generated")
        }
        guard like == nil || (index == 0 && cases == 1) else {
            throw ValidationError("--like: is one model, without --case and --cases")
        }
        guard cases > 0, cases <= UInt64(Int32.max), !index.addingReportingOverflow(cases).overflow else {
            throw ValidationError("--cases \(cases): must be 1 to \(Int32.max)")
        }
    }

    func run() throws {
        if let like {
            let toy = try CommandError.naming(like) {
                let file = try FileSource(path: like)
                if set.isEmpty { Understanding.noteUnreadKeys(of: file.metadata, in: like) }
                return try Toy(like: file, settings: set, recipe: recipe)
            }
            return try save(toy, to: output)
        }
        guard let architectures = try arch?.architectures() else { return }
        guard cases > 1 || architectures.count > 1 else { return try generate(architectures[0], index, to: output) }
        do {
            try FileManager.default.createDirectory(atPath: output, withIntermediateDirectories: true)
        } catch {
            throw CommandError("\(output): cannot be made a folder: it is a file, or its parent cannot be written")
        }
        Interrupt.watch()
        for architecture in architectures {
            for index in index..<index + cases {
                if let status = Interrupt.status { throw ExitCode(status) }
                let name = "\(architecture.name)-\(seed)-\(index).gguf"
                try generate(
                    architecture, index, to: URL(fileURLWithPath: output).appendingPathComponent(name).relativePath)
            }
        }
    }

    private var recipe: WeightRecipe { WeightRecipe(seed: seed, type: type.type, adversities: adversity) }

    private func generate(_ architecture: any Architecture.Type, _ index: UInt64, to path: String) throws {
        let toy = try CommandError.naming("\(architecture.name), seed \(seed), case \(index)") {
            try Toy(architecture, index: index, settings: set, recipe: recipe)
        }
        try save(toy, to: path)
    }

    private func save(_ toy: Toy, to path: String) throws {
        if !set.isEmpty { Understanding.noteUnreadKeys(of: toy.model.metadata, in: path) }
        try ProgressLine.during("\(path): writing") { _ in try toy.model.save(to: path) }
        let tensors = toy.model.source.tensors
        let parameters = tensors.reduce(0) { $0 + $1.shape.count }
        Terminal.line(
            "\(path): \(Swift.type(of: toy.model.architecture).name), \(tensors.count) tensors, "
                + "\(Format.count(parameters)) parameters")
    }
}
