import Devices
import GGUF
import ModelGraph

/// An adapter's file, and how it is used.
public struct AppliedAdapter: Sendable {
    public var source: any TensorSource
    /// How often what the file holds is added.
    public var scale: Double
    /// Blocks after which something is added; nil: all for which the file has something.
    public var layers: ClosedRange<Int>?

    public init(_ source: any TensorSource, scale: Double = 1, layers: ClosedRange<Int>? = nil) {
        self.source = source
        self.scale = scale
        self.layers = layers
    }
}

/// What adapters add to a model, and where its elements are.
struct ModelAdapters: Sendable {
    private(set) var adaptation = Adaptation()
    /// By the names of the adaptation's weights.
    private(set) var tensors: [String: (source: any TensorSource, info: TensorInfo)] = [:]

    /// - Throws: `ModelError` that names the key or tensor for what is no adapter of the model.
    init(_ adapters: [AppliedAdapter], of model: Model) throws {
        let weights = Dictionary(model.weights.map { ($0.name, $0) }) { first, _ in first }
        for (number, adapter) in adapters.enumerated() {
            let reading = Reading(adapter, number: number, model, weights)
            if adapter.source.metadata.string(AdapterFormat.architecture) == AdapterFormat.controlVector {
                try addDirections(reading)
            } else {
                try addProducts(reading)
            }
        }
    }

    /// One file, and what it is held against.
    private struct Reading {
        let adapter: AppliedAdapter
        /// Adapters may have tensors of the same names.
        let number: Int
        let model: Model
        let weights: [String: Weight]
        let tensors: [String: TensorInfo]

        init(_ adapter: AppliedAdapter, number: Int, _ model: Model, _ weights: [String: Weight]) {
            self.adapter = adapter
            self.number = number
            self.model = model
            self.weights = weights
            tensors = Dictionary(adapter.source.tensors.map { ($0.name, $0) }) { first, _ in first }
        }

        func require(_ key: String, _ value: String) throws {
            guard adapter.source.metadata.string(key) == value else {
                let found = adapter.source.metadata[key].map { "is \($0.summary)" } ?? "is missing"
                throw ModelError(subject: key, reason: "\(found); expected \"\(value)\"")
            }
        }
    }

    private mutating func addProducts(_ reading: Reading) throws {
        try reading.require(AdapterFormat.type, AdapterFormat.adapter)
        try reading.require(
            AdapterFormat.architecture, reading.model.metadata.string(AdapterFormat.architecture) ?? "")
        try reading.require(AdapterFormat.kind, AdapterFormat.lora)
        guard case .float32(let alpha)? = reading.adapter.source.metadata[AdapterFormat.alpha], alpha.isFinite else {
            throw ModelError(subject: AdapterFormat.alpha, reason: "is missing, or no finite number of 32 bits")
        }
        var names: Set<String> = []
        for tensor in reading.adapter.source.tensors {
            let ending = [AdapterFormat.down, AdapterFormat.up].first(where: tensor.name.hasSuffix)
            guard let ending, let weight = reading.weights[String(tensor.name.dropLast(ending.count))] else {
                throw ModelError(subject: tensor.name, reason: "is beside no tensor of the model")
            }
            guard names.insert(weight.name).inserted else { continue }
            guard let down = reading.tensors[weight.name + AdapterFormat.down] else {
                throw ModelError(subject: weight.name + AdapterFormat.down, reason: "is missing")
            }
            let rank = weight.name == Adaptation.embedding ? down.shape.last : down.shape.rank < 2 ? 1
                : down.shape[down.shape.rank - 2]
            let expected = try Weight.lowRank(beside: weight.name, weight.shape, rank: rank)
            adaptation.products[weight.name, default: []].append(
                Adaptation.LowRank(
                    down: try add(expected.down, reading), up: try add(expected.up, reading),
                    factor: reading.adapter.scale * Double(alpha) / Double(rank)))
        }
    }

    private mutating func addDirections(_ reading: Reading) throws {
        let dimensions = reading.model.architecture.dimensions
        for tensor in reading.adapter.source.tensors {
            let number = tensor.name.hasPrefix(AdapterFormat.direction)
                ? Int(tensor.name.dropFirst(AdapterFormat.direction.count)) : nil
            // None is added after the first block.
            guard let number, (1..<max(1, dimensions.layers)).contains(number) else {
                throw ModelError(subject: tensor.name, reason: "is no direction after a block of the model")
            }
            guard reading.adapter.layers?.contains(number) ?? true else { continue }
            adaptation.directions[number, default: []].append(
                Adaptation.Direction(
                    try add(.direction(after: number, dimensions.embedding), reading), factor: reading.adapter.scale))
        }
    }

    /// - Returns: the weight under a name of its own.
    private mutating func add(_ weight: Weight, _ reading: Reading) throws -> Weight {
        guard let tensor = reading.tensors[weight.name] else {
            throw ModelError(subject: weight.name, reason: "is missing; expected \(weight.shape.gguf)")
        }
        guard tensor.shape.significant == weight.shape.significant else {
            throw ModelError(
                subject: weight.name, reason: "is \(tensor.shape.gguf), expected \(weight.shape.gguf)")
        }
        var weight = weight
        weight.name = "adapter \(reading.number): \(weight.name)"
        tensors[weight.name] = (reading.adapter.source, tensor)
        return weight
    }
}
