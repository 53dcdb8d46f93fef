import Architectures
import Devices
import GGUF
import ModelGraph

extension Adapter {
    /// The adapter's own file.
    /// - Parameter model: that it is for.
    /// - Throws: `MetadataError` where the model is none; `ModelError` for a matrix that it has not, or a rank below 1.
    public func source(for model: any TensorSource) throws -> any TensorSource {
        switch self {
        case .lora(let lora): try AdapterSource(lora, model)
        case .controlVector(let vector): try AdapterSource(vector, model)
        }
    }
}

/// The words of files that hold adapters.
enum AdapterFormat {
    static let (type, architecture) = ("general.type", "general.architecture")
    static let (kind, alpha) = ("adapter.type", "adapter.lora.alpha")
    static let (adapter, lora, controlVector) = ("adapter", "lora", "controlvector")
    static let (down, up) = (".lora_a", ".lora_b")
    static let direction = "direction."
}

/// An adapter that exists in memory only.
private struct AdapterSource: TensorSource {
    let metadata: Metadata
    let tensors: [TensorInfo]
    private let recipe: WeightRecipe
    private let weights: [String: Weight]

    init(_ lora: Adapter.LoRA, _ model: any TensorSource) throws {
        guard lora.rank > 0 else { throw ModelError(subject: "rank", reason: "is \(lora.rank): must be 1 or more") }
        let known = Dictionary(model.tensors.map { ($0.name, $0.shape) }) { first, _ in first }
        let weights = try lora.tensors.flatMap { name in
            guard let shape = known[name] else { throw ModelError(subject: name, reason: "is not in this model") }
            let (down, up) = try Weight.lowRank(beside: name, shape, rank: lora.rank)
            return [down, up]
        }
        try self.init(
            [
                AdapterFormat.type: .string(AdapterFormat.adapter),
                AdapterFormat.architecture: .string(model.metadata.string(AdapterFormat.architecture) ?? ""),
                AdapterFormat.kind: .string(AdapterFormat.lora),
                AdapterFormat.alpha: .float32(Float(lora.alpha)),
            ], weights, WeightRecipe(seed: lora.seed, type: lora.type))
    }

    init(_ vector: Adapter.ControlVector, _ model: any TensorSource) throws {
        let dimensions = try ArchitectureCatalog.read(model.metadata).dimensions
        let directions = (1..<max(1, dimensions.layers)).map { Weight.direction(after: $0, dimensions.embedding) }
        // About as long as what a block adds.
        let distribution = WeightRecipe.Rule(distribution: .normal(mean: 0, deviation: 0.25))
        try self.init(
            [
                AdapterFormat.architecture: .string(AdapterFormat.controlVector),
                "controlvector.model_hint": .string(model.metadata.string(AdapterFormat.architecture) ?? ""),
                "controlvector.layer_count": .uint32(UInt32(directions.count)),
            ], directions, WeightRecipe(seed: vector.seed, rules: [distribution]))
    }

    private init(_ metadata: Metadata, _ weights: [Weight], _ recipe: WeightRecipe) throws {
        self.metadata = metadata
        self.recipe = recipe
        self.weights = Dictionary(weights.map { ($0.name, $0) }) { first, _ in first }
        tensors = try weights.map { TensorInfo(name: $0.name, shape: $0.shape, type: try recipe.type(of: $0)) }
    }

    func data(of tensor: TensorInfo) throws -> TensorData {
        guard let weight = weights[tensor.name] else {
            throw ModelError(subject: tensor.name, reason: "is not in this adapter")
        }
        return try recipe.draw(weight)
    }
}

extension Weight {
    /// `A` and `B` of a product of low rank beside that of a matrix, as files have them.
    /// - Parameters:
    ///   - name: of the matrix.
    ///   - shape: of the matrix: `[N, K]`, of experts or heads `[E, N, K]`.
    ///   - rank: rows of `A`.
    /// - Throws: `ModelError` for what is no matrix.
    static func lowRank(beside name: String, _ shape: Shape, rank: Int) throws -> (down: Weight, up: Weight) {
        guard (2...3).contains(shape.rank) else {
            throw ModelError(subject: name, reason: "is \(shape.gguf), which is no matrix")
        }
        let isOfEmbedding = name == Adaptation.embedding
        let rows = shape.rank - 2
        let down = isOfEmbedding ? shape.replacingLast(with: rank) : shape.replacing(rows, with: rank)
        let up = isOfEmbedding ? [shape.last, rank] : shape.replacingLast(with: rank)
        return (
            Weight(
                name: name + AdapterFormat.down, shape: down, role: isOfEmbedding ? .embedding : .projection,
                isOptional: false),
            Weight(name: name + AdapterFormat.up, shape: up, role: .projection, isOptional: false)
        )
    }

    /// - Parameter width: of the residual stream.
    static func direction(after layer: Int, _ width: Int) -> Weight {
        Weight(name: "\(AdapterFormat.direction)\(layer)", shape: [width], role: .bias, isOptional: false)
    }
}
