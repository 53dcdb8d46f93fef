import Devices
import Foundation
import GGUF
import ModelGraph

/// A model that exists in memory only: metadata, and a function that supplies each tensor.
public final class MemorySource: TensorSource {
    public let metadata: Metadata
    public let inventory: Inventory
    private let weights: [String: Weight]
    private let supply: @Sendable (Inventory.Tensor) throws -> TensorData
    private let cache = Cache()

    /// - Parameters:
    ///   - optional: the optional tensors that the model has.
    ///   - recipe: what gives each tensor its type.
    ///   - supply: gives each tensor's elements, in the shape and type asked for. It is called once at most
    ///     for each tensor, when it is first needed.
    public init(
        _ metadata: Metadata, optional: OptionalTensors = .all, recipe: WeightRecipe,
        supply: @escaping @Sendable (Inventory.Tensor) throws -> TensorData
    ) throws {
        self.metadata = metadata
        self.supply = supply
        inventory = try Inventory(metadata, optional: optional, recipe: recipe)
        weights = Dictionary(inventory.tensors.map { ($0.name, $0.weight) }) { first, _ in first }
    }

    /// A toy model: every weight drawn by the recipe.
    public convenience init(_ metadata: Metadata, optional: OptionalTensors = .all, recipe: WeightRecipe) throws {
        try self.init(metadata, optional: optional, recipe: recipe) { try recipe.draw($0.weight) }
    }

    public var tensors: [TensorInfo] { inventory.tensors.map(\.info) }

    public func data(of tensor: TensorInfo) throws -> TensorData {
        guard let weight = weights[tensor.name] else { throw ModelError(subject: tensor.name, reason: "is not in this model") }
        return try cache.data(of: tensor.name) {
            let data = try supply(Inventory.Tensor(weight: weight, type: tensor.type))
            guard data.shape == tensor.shape, data.type == tensor.type,
                data.bytes.count == tensor.byteCount
            else {
                throw ModelError(
                    subject: tensor.name,
                    reason: "was supplied as \(data.type.name) \(data.shape) in \(data.bytes.count) bytes; must be \(tensor.type.name) \(tensor.shape)")
            }
            return data
        }
    }

    /// Tensors supplied so far, for sessions on any thread.
    private final class Cache: @unchecked Sendable {
        private let lock = NSLock()
        private var tensors: [String: TensorData] = [:]

        func data(of name: String, _ make: () throws -> TensorData) rethrows -> TensorData {
            try lock.withLock {
                if let known = tensors[name] { return known }
                let made = try make()
                tensors[name] = made
                return made
            }
        }
    }
}
