import Devices
import Foundation
import GGUF
import ModelGraph

/// A model that exists in memory only: metadata, and a function that supplies each tensor.
public final class MemorySource: TensorSource {
    public let metadata: Metadata
    public let inventory: Inventory
    public let tensors: [TensorInfo]
    private let weights: [String: Weight]
    private let supply: @Sendable (Inventory.Tensor) throws -> TensorData
    /// nil where tensors are not kept.
    private let cache: Cache?

    /// - Parameters:
    ///   - metadata: of the model.
    ///   - optional: the optional tensors that the model has.
    ///   - type: of each tensor.
    ///   - keepsTensors: whether a tensor, once supplied, stays in memory; else it is supplied whenever it is needed,
    ///     so that a model larger than memory can be saved.
    ///   - supply: gives each tensor's elements, in the shape and type asked for, when it is needed: of tensors that
    ///     are kept the first time only.
    public init(
        _ metadata: Metadata, optional: OptionalTensors = .all, type: (Weight) throws -> TensorType = { _ in .f32 },
        keepsTensors: Bool = true, supply: @escaping @Sendable (Inventory.Tensor) throws -> TensorData
    ) throws {
        self.metadata = metadata
        self.supply = supply
        cache = keepsTensors ? Cache() : nil
        inventory = try Inventory(metadata, optional: optional, type: type)
        tensors = inventory.tensors.map(\.info)
        weights = Dictionary(inventory.tensors.map { ($0.name, $0.weight) }) { first, _ in first }
    }

    /// A toy model: every weight drawn by the recipe.
    public convenience init(
        _ metadata: Metadata, optional: OptionalTensors = .all, recipe: WeightRecipe, keepsTensors: Bool = true
    ) throws {
        try self.init(metadata, optional: optional, type: recipe.type(of:), keepsTensors: keepsTensors) {
            try recipe.draw($0.weight)
        }
    }

    /// Another source's model, by the loader of models in memory: it asks for the tensors that the metadata says there
    /// must be.
    public convenience init(_ source: any TensorSource) throws {
        let known = Dictionary(source.tensors.map { ($0.name, $0) }) { first, _ in first }
        @Sendable func found(_ name: String) throws -> TensorInfo {
            guard let tensor = known[name] else { throw ModelError(subject: name, reason: "is missing") }
            return tensor
        }
        try self.init(
            source.metadata, optional: .of(source.tensors), type: { try found($0.name).type }
        ) { tensor in
            let info = try found(tensor.name)
            var data = try source.data(of: info)
            guard info.shape.significant == tensor.shape.significant else {
                throw ModelError(subject: tensor.name, reason: "is \(info.shape.gguf), expected \(tensor.shape.gguf)")
            }
            data.shape = tensor.shape
            return data
        }
    }

    public func data(of tensor: TensorInfo) throws -> TensorData {
        guard let weight = weights[tensor.name] else {
            throw ModelError(subject: tensor.name, reason: "is not in this model")
        }
        func make() throws -> TensorData {
            let data = try supply(Inventory.Tensor(weight: weight, type: tensor.type))
            guard data.shape == tensor.shape, data.type == tensor.type,
                data.bytes.count == tensor.byteCount
            else {
                throw ModelError(
                    subject: tensor.name,
                    reason: "was supplied as \(data.type.name) \(data.shape) in \(data.bytes.count) bytes; "
                        + "must be \(tensor.type.name) \(tensor.shape)")
            }
            return data
        }
        return try cache?.data(of: tensor.name, make) ?? make()
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
