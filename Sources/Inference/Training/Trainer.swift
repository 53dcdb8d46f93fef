import Architectures
import Devices
import Foundation
import GGUF
import ModelGraph

/// Trains a model on one batch, step by step.
///
/// Weights are changed in float32, and computed with as the types have them that the trained model has: what a rounding
/// takes away, the steps after it see. The gradient is taken as if nothing were rounded (Bengio, Léonard and Courville
/// 2013, "Estimating or Propagating Gradients Through Stochastic Neurons for Conditional Computation", the
/// straight-through estimator). In plain descent the gradient of all weights together counts as no longer than 1. Divisors of frequencies and places stay as they are, and decays below zero.
public final class Trainer {
    private let source: any TensorSource
    private let training: Training
    private let session: Session
    private var tensors: [Tensor] = []
    private var steps = 0

    fileprivate struct Tensor {
        var weight: Weight
        var isTrained: Bool
        /// Of the trained model's tensor.
        var type: TensorType
        var data: TensorData
        var elements: [Float]
        /// Of AdamW; empty before the first step.
        var means: [Double] = []
        var squares: [Double] = []

        var isFixed: Bool { weight.role == .places || weight.role == .ropeFactor }
    }

    /// - Parameters:
    ///   - source: the model as it is at first.
    ///   - training: how the weights are changed; as often as `step` is called.
    ///   - types: of the trained model's tensors; those of places and of divisors of frequencies keep theirs.
    ///   - isTrained: whether a weight changes.
    ///   - device: what computes losses and gradients.
    ///   - options: of the session; its micro-batches hold what is learned.
    /// - Throws: as `Model` and `Session`.
    public init(
        _ source: any TensorSource, _ training: Training, types: (Weight) throws -> TensorType = { _ in .f32 },
        isTrained: (Weight) -> Bool = { _ in true }, on device: any Device, options: SessionOptions
    ) throws {
        self.source = source
        self.training = training
        for weight in try Model(source).weights {
            guard let info = source.tensors.first(where: { $0.name == weight.name }) else { continue }
            let data = try source.data(of: info)
            let elements = try [Float](unsafeUninitializedCapacity: info.shape.count) { elements, count in
                let room = UnsafeMutableBufferPointer(rebasing: elements[..<info.shape.count])
                try data.bytes.withBytes { try data.type.decode($0, order: data.byteOrder, into: room) }
                count = info.shape.count
            }
            var tensor = Tensor(
                weight: weight, isTrained: isTrained(weight), type: data.type, data: data, elements: elements)
            if !tensor.isFixed { tensor.type = try types(weight) }
            tensors.append(tensor)
        }
        let model = try Model(Self.copy(of: source, with: tensors, decoded: true))
        session = try Session(model, placement: Placement(device.name), devices: DeviceSet([device]), options: options)
    }

    /// The model as it is now.
    public func trained() throws -> MemorySource { try Self.copy(of: source, with: tensors, decoded: false) }

    /// - Parameter decoded: as float32, with the elements that the types have.
    private static func copy(
        of source: any TensorSource, with tensors: [Tensor], decoded: Bool
    ) throws -> MemorySource {
        let known = Dictionary(tensors.map { ($0.weight.name, $0) }) { first, _ in first }
        return try MemorySource(
            source.metadata, optional: .of(source.tensors),
            type: { weight in known[weight.name].map { decoded && !$0.isFixed ? .f32 : $0.type } ?? .f32 }
        ) { tensor in
            guard let found = known[tensor.name] else { throw ModelError(subject: tensor.name, reason: "is missing") }
            return try decoded ? found.decoded(tensor.shape) : found.encoded(tensor.shape)
        }
    }

    /// Changes the weights once.
    /// - Parameters:
    ///   - batch: what is learned; see `Session.loss(of:encoding:)`.
    ///   - source: what is encoded first.
    /// - Returns: the loss before.
    /// - Throws: as `Session.gradient`.
    public func step(_ batch: Batch, encoding source: Batch? = nil) throws -> Double {
        let gradient = try session.gradient(of: batch, encoding: source)
        guard gradient.loss.isFinite else { return gradient.loss }
        steps += 1
        let length = training.optimiser == .sgd
            ? tensors.reduce(0) { length, tensor in
                (gradient.weights[tensor.weight.name]?.doubles ?? []).reduce(length) { $0 + $1 * $1 }
            }.squareRoot() : 1
        var changed: [String: TensorData] = [:]
        for index in tensors.indices where !tensors[index].isFixed && tensors[index].isTrained {
            guard let elements = gradient.weights[tensors[index].weight.name]?.doubles else { continue }
            tensors[index].change(by: elements, training, steps, length)
            changed[tensors[index].weight.name] = try tensors[index].decoded(tensors[index].weight.shape)
        }
        try session.replaceWeights(by: changed)
        return gradient.loss
    }
}

extension Trainer.Tensor {
    fileprivate mutating func change(by gradient: [Double], _ training: Training, _ step: Int, _ length: Double) {
        let (rate, decay) = (Double(training.rate), Double(training.weightDecay))
        switch training.optimiser {
        case .sgd:
            for i in elements.indices {
                elements[i] -= Float(rate * (gradient[i] / max(1, length) + decay * Double(elements[i])))
            }
        case .adamW:
            if means.isEmpty {
                means = Array(repeating: 0, count: elements.count)
                squares = means
            }
            let (first, second) = (Double(training.firstDecay), Double(training.secondDecay))
            let (rest, restOfSquares) = (1 - pow(first, Double(step)), 1 - pow(second, Double(step)))
            for i in elements.indices {
                means[i] = first * means[i] + (1 - first) * gradient[i]
                squares[i] = second * squares[i] + (1 - second) * gradient[i] * gradient[i]
                let direction = means[i] / rest / ((squares[i] / restOfSquares).squareRoot() + Double(training.epsilon))
                elements[i] -= Float(rate * (direction + decay * Double(elements[i])))
            }
        }
        if weight.role == .decay { for i in elements.indices { elements[i] = min(elements[i], -0x1p-10) } }
    }

    /// In the type that it has in the trained model.
    fileprivate func encoded(_ shape: Shape) throws -> TensorData {
        if isFixed {
            var data = data
            data.shape = shape
            return data
        }
        guard let count = type.byteCount(rowLength: shape.last, rows: shape.rows) else {
            throw ModelError(subject: weight.name, reason: "cannot be encoded as \(type.name)")
        }
        let bytes = try TensorBytes(count: count) { bytes in
            try elements.withUnsafeBufferPointer { try type.encode($0, into: bytes) }
        }
        return TensorData(name: weight.name, shape: shape, type: type, bytes: bytes)
    }

    /// The same elements as float32.
    fileprivate func decoded(_ shape: Shape) throws -> TensorData {
        let encoded = try encoded(shape)
        guard !isFixed, type != .f32 else { return encoded }
        let bytes = try TensorBytes(count: 4 * elements.count) { bytes in
            try encoded.bytes.withBytes { try type.decode($0, order: .little, into: bytes.bindMemory(to: Float.self)) }
        }
        return TensorData(name: weight.name, shape: shape, type: .f32, bytes: bytes)
    }
}
