import Architectures
import Devices
import Foundation
import GGUF
import ModelGraph

/// A model, ready for sessions: its metadata understood, its tensors found and of the right shape.
public final class Model: Sendable {
    public let source: any TensorSource
    public let architecture: any Architecture
    /// Every weight that the model's graphs use.
    public let weights: [Weight]
    private let tensors: [String: TensorInfo]
    private let optional: OptionalTensors
    private let adapters: ModelAdapters?
    private let graphs = GraphCache()

    public var metadata: Metadata { source.metadata }

    /// - Throws: `MetadataError`, `GraphError`, or `ModelError` that names the tensor that is missing, of another shape
    ///   than the metadata asks for, or used by no graph of the model: its meaning would be lost.
    public init(_ source: any TensorSource) throws {
        self.source = source
        adapters = nil
        let tensors = Dictionary(source.tensors.map { ($0.name, $0) }) { first, _ in first }
        self.tensors = tensors
        let optional = OptionalTensors.of(source.tensors)
        self.optional = optional
        if let inventory = (source as? MemorySource)?.inventory {
            // It has been asked already.
            architecture = inventory.architecture
            weights = inventory.tensors.map(\.weight)
        } else {
            architecture = try ArchitectureCatalog.read(source.metadata)
            weights = try architecture.weights(optional.contains)
        }
        for weight in weights { try Self.check(tensors[weight.name], against: weight) }
        try Self.refuseUnused(source.tensors, of: Swift.type(of: architecture), weights)
    }

    /// The model with what adapters add to it, and nothing of what others may have added to this one.
    /// - Throws: `ModelError` that names the key or tensor for what is no adapter of the model, `GraphError` for one
    ///   that adds to what is more than a matrix, or where there is no residual stream.
    public func adapted(by adapters: [AppliedAdapter]) throws -> Model { try Model(self, adapters) }

    private init(_ base: Model, _ adapters: [AppliedAdapter]) throws {
        source = base.source
        architecture = base.architecture
        weights = base.weights
        tensors = base.tensors
        optional = base.optional
        let adapters = try adapters.isEmpty ? nil : ModelAdapters(adapters, of: base)
        self.adapters = adapters
        guard let adapters else { return }
        for stage in architecture.traits.stages {
            _ = try base.graph(.inventory(stage)).adapted(by: adapters.adaptation)
        }
    }

    /// - Throws: as `init`, for tensors that the model that its metadata describes makes no use of. None need be there.
    public static func refuseUnused(_ source: some TensorSource) throws {
        let inventory = try Inventory(source.metadata, optional: .of(source.tensors))
        try refuseUnused(
            source.tensors, of: Swift.type(of: inventory.architecture), inventory.tensors.map(\.weight))
    }

    private static func refuseUnused(
        _ tensors: [TensorInfo], of architecture: any Architecture.Type, _ weights: [Weight]
    ) throws {
        let used = Set(weights.map(\.name))
        let unused = tensors.filter { !used.contains($0.name) }
        guard let first = unused.first else { return }
        let others = unused.count == 1 ? "" : ", nor of \(unused.count - 1) other\(unused.count == 2 ? "" : "s")"
        throw ModelError(
            subject: first.name, reason: "\(architecture.name) with this metadata makes no use of this tensor\(others)")
    }

    private static func check(_ tensor: TensorInfo?, against weight: Weight) throws {
        guard let tensor else {
            throw ModelError(subject: weight.name, reason: "is missing; expected \(weight.shape.gguf)")
        }
        guard tensor.shape.significant == weight.shape.significant else {
            throw ModelError(subject: weight.name, reason: "is \(tensor.shape.gguf), expected \(weight.shape.gguf)")
        }
    }

    public func type(of weight: Weight) -> TensorType {
        tensors[weight.name]?.type ?? adapters?.tensors[weight.name]?.info.type ?? .f32
    }

    /// A weight's elements, in the shape that graphs know it by.
    public func data(of weight: Weight) throws -> TensorData {
        let found = tensors[weight.name].map { (source: source, info: $0) } ?? adapters?.tensors[weight.name]
        guard let found else { throw ModelError(subject: weight.name, reason: "is missing") }
        var data = try found.source.data(of: found.info)
        data.shape = weight.shape
        return data
    }

    /// The graph of one batch, the same for every session.
    func graph(_ batch: BatchShape) throws -> Graph {
        try graphs.graph(batch) {
            let graph = try architecture.graph(batch, optional.contains)
            return try adapters.map { try graph.adapted(by: $0.adaptation) } ?? graph
        }
    }

    private final class GraphCache: @unchecked Sendable {
        private let lock = NSLock()
        private var graphs = ShapeCache<Graph>()

        func graph(_ batch: BatchShape, _ make: () throws -> Graph) throws -> Graph {
            if let known = lock.withLock({ graphs[batch] }) { return known }
            let made = try make()
            lock.withLock { graphs.insert(made, made, for: batch) }
            return made
        }
    }
}

extension Shape {
    /// The shape without outer extents of one, which a file may list or leave out.
    var significant: [Int] { Array(dimensions.drop { $0 == 1 }) }
}
