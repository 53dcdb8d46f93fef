import ArgumentParser
import Architectures
import Devices
import Engines
import Foundation
import Fuzzing
import GGUF
import Inference
import ModelGraph
import PropertyTesting

struct Train: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Draw a toy model that has learned a text, and write it to a GGUF file.",
        discussion: """
            Each word of the text, with the space before it, is a token of the model's vocabulary. Given the first one, \
            the model says the rest, and begins again: a test of whatever loads it, which a person can read.

            The model is the first of the seed's that has room for the words and learns them; quantised, it must still \
            say them.

            Examples:
              gguf-fuzz train --arch mamba --seed 1 --text 'All that is gold does not glitter' -o toy.gguf
              gguf-fuzz train --arch qwen3moe --seed 1 --text 'to be or not to bloom' --type Q8_0 -o toy.gguf
            """)

    @Option(help: "The architecture.")
    var arch: String
    @Option(help: "Seed of the random numbers.")
    var seed: UInt64
    @Option(parsing: .unconditional, help: "The text, of two words or more.")
    var text: String
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
        let count = words.count
        guard (2...64).contains(count) else { throw ValidationError("--text: has \(count) words; must be 2 to 64") }
    }

    /// Each with the space before it.
    private var words: [String] {
        text.split(whereSeparator: \.isWhitespace).enumerated().map { $0 == 0 ? String($1) : " " + $1 }
    }

    func run() throws {
        let architecture = try ArchitectureCatalog.named(arch)
        var texts: [String] = []
        for word in words where !texts.contains(word) { texts.append(word) }
        let ids = words.compactMap(texts.firstIndex)
        for index in 0..<Self.mostModels {
            guard let (model, steps) = try learned(architecture, index, texts, ids) else { continue }
            try ProgressLine.during("\(output): writing") { _ in try model.save(to: output) }
            let parameters = model.source.tensors.reduce(0) { $0 + $1.shape.count }
            return Terminal.line(
                "\(output): \(architecture.name), \(Format.count(parameters)) parameters, learned in \(steps) steps: "
                    + "after \"\(words[0])\" comes \"\(words.dropFirst().joined())\"")
        }
        throw CommandError("--arch \(arch): none of \(Self.mostModels) models of seed \(seed) learns the text")
    }

    /// A model that says the text; nil where this one does not.
    private func learned(
        _ architecture: any Architecture.Type, _ index: UInt64, _ texts: [String], _ ids: [Int]
    ) throws -> (Model, steps: Int)? {
        var choices = Choices(seed: seed, stream: index)
        let drawn = try DrawnModel.draw(architecture, &choices)
        let traits = SessionTraits(drawn)
        let vocabulary = traits.dimensions.vocabulary
        guard Lesson.applies(to: traits), vocabulary >= texts.count, ids.count < traits.positionLimit ?? .max else {
            return nil
        }
        let recipe = WeightRecipe(seed: seed, type: type.type)
        let optional = OptionalTensors.only(drawn.optionalTensors)
        let metadata = ToyTokenizer.added(to: drawn.metadata, vocabulary: vocabulary, texts: texts)
        let encoded: [Step] = traits.traits.hasEncoder ? [.encode(Batch([ids[0]]))] : []
        let lesson = Lesson(
            Script(placement: Placement("cpu"), options: .init(context: 64), steps: encoded + [.process(Batch(ids))]),
            optimiser)
        do {
            let (trained, steps) = try lesson.learned(
                by: MemorySource(metadata, optional: optional, recipe: WeightRecipe(seed: seed)))
            let source = try MemorySource(trained, types: recipe.type(of:))
            return try lesson.mistake(of: source) == nil ? (Model(source), steps) : nil
        } catch is Lesson.Unlearned {
            return nil
        }
    }
}

extension Optimiser: ExpressibleByArgument {}

extension MemorySource {
    /// A model whose weights are float32, or have their own type, with weights of other types.
    fileprivate convenience init(_ source: any TensorSource, types: (Weight) throws -> TensorType) throws {
        let known = Dictionary(source.tensors.map { ($0.name, $0) }) { first, _ in first }
        try self.init(source.metadata, optional: .of(source.tensors), type: types) { tensor in
            guard let info = known[tensor.name] else { throw ModelError(subject: tensor.name, reason: "is missing") }
            var data = try source.data(of: info)
            data.shape = tensor.shape
            guard tensor.type != data.type, let count = tensor.info.byteCount else { return data }
            let type = tensor.type
            data.bytes = try data.bytes.withBytes { bytes in
                let elements = bytes.bindMemory(to: Float.self)
                return try TensorBytes(count: count) { try type.encode(elements, into: $0) }
            }
            data.type = type
            return data
        }
    }
}
