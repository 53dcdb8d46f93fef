import Architectures
import GGUF
import ModelGraph

/// Every weight tensor of the model that some metadata describes: what a GGUF file for it must hold.
///
/// Nobody wrote this list: it is what the model's graph asked for while it was built.
public struct Inventory: Sendable {
    public struct Tensor: Hashable, Sendable {
        public var weight: Weight
        public var type: TensorType

        public var name: String { weight.name }
        /// Outermost dimension first.
        public var shape: Shape { weight.shape }
        /// As a GGUF file lists them: contiguous dimension first.
        public var dimensions: [Int] { weight.shape.gguf }
        public var role: Weight.Role { weight.role }
        public var isOptional: Bool { weight.isOptional }
        /// The block that the tensor belongs to, nil outside the blocks.
        public var layer: Int? { weight.layer }
        public var info: TensorInfo { TensorInfo(name: name, shape: shape, type: type) }
    }
    public let architecture: any Architecture
    public let tensors: [Tensor]

    /// - Parameters:
    ///   - metadata: of the model.
    ///   - optional: which optional tensors are listed.
    ///   - type: of each tensor.
    /// - Throws: `MetadataError` for metadata that is incomplete or contradicts itself, `GraphError` where
    ///   it describes a graph that does not fit together.
    public init(
        _ metadata: Metadata, optional: OptionalTensors = .all, type: (Weight) throws -> TensorType = { _ in .f32 }
    ) throws {
        architecture = try ArchitectureCatalog.read(metadata)
        tensors = try architecture.weights(optional.contains).map { Tensor(weight: $0, type: try type($0)) }
    }

    /// - Parameters:
    ///   - metadata: of the model.
    ///   - optional: which optional tensors are listed.
    ///   - recipe: what gives each tensor its type.
    public init(_ metadata: Metadata, optional: OptionalTensors = .all, recipe: WeightRecipe) throws {
        try self.init(metadata, optional: optional, type: recipe.type(of:))
    }
}

extension OptionalTensors {
    /// Of names, those that no graph of a model asks for, and the other names that graphs ask for.
    /// - Throws: `MetadataError` or `GraphError` where the metadata is no valid model's.
    public static func unasked(
        _ names: Set<String>, by metadata: Metadata
    ) throws -> (unknown: [String], others: [String]) {
        var asked: Set<String> = []
        _ = try ArchitectureCatalog.read(metadata).weights { name in
            asked.insert(name)
            return names.contains(name)
        }
        return (names.subtracting(asked).sorted(), asked.subtracting(names).sorted())
    }
}

extension Architecture {
    /// Every weight that any stage asks for, in the order of asking.
    func weights(_ hasTensor: @escaping (String) -> Bool) throws -> [Weight] {
        var weights: [Weight] = []
        var known: [String: Weight] = [:]
        for graph in try smallestGraphs(hasTensor) {
            for weight in graph.weights {
                if let other = known[weight.name] {
                    guard other.shape == weight.shape else {
                        throw ModelError(
                            subject: weight.name,
                            reason: "is \(other.shape) in one stage and \(weight.shape) in another")
                    }
                } else {
                    known[weight.name] = weight
                    weights.append(weight)
                }
            }
        }
        return weights
    }
}
