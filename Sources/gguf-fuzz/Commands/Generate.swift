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

            Examples:
              gguf-fuzz generate --arch kimi-linear --seed 1 -o toy.gguf
              gguf-fuzz generate --arch all --seed 1 --cases 50 -o toys
              gguf-fuzz generate --arch jamba --seed 7 --adversity outliers -o toy.gguf
            """)

    @Option(help: "Architectures, separated by commas, or all.")
    var arch: NameList
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
        guard cases > 0, cases <= UInt64(Int32.max), !index.addingReportingOverflow(cases).overflow else {
            throw ValidationError("--cases \(cases): must be 1 to \(Int32.max)")
        }
    }

    func run() throws {
        let architectures = try arch.architectures()
        guard cases > 1 || architectures.count > 1 else { return try generate(architectures[0], index, to: output) }
        do {
            try FileManager.default.createDirectory(atPath: output, withIntermediateDirectories: true)
        } catch {
            throw CommandError("\(output): cannot be made a folder: it is a file, or its parent cannot be written")
        }
        Interrupt.watch()
        for architecture in architectures {
            for index in index..<index + cases {
                if Interrupt.isRequested { return }
                let name = "\(architecture.name)-\(seed)-\(index).gguf"
                try generate(
                    architecture, index, to: URL(fileURLWithPath: output).appendingPathComponent(name).relativePath)
            }
        }
    }

    private func generate(_ architecture: any Architecture.Type, _ index: UInt64, to path: String) throws {
        let toy = try CommandError.naming("\(architecture.name), seed \(seed), case \(index)") {
            try Toy(architecture, seed: seed, index: index, type: type.type, adversities: adversity)
        }
        try toy.model.save(to: path)
        let tensors = toy.model.source.tensors
        let parameters = tensors.reduce(0) { $0 + $1.shape.count }
        Terminal.line("\(path): \(architecture.name), \(tensors.count) tensors, \(Format.count(parameters)) parameters")
    }
}
