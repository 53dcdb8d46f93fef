import Architectures
import Devices
import Foundation
import GGUF
import ModelGraph

/// How a gradient changes weights.
public enum Optimiser: String, Hashable, Sendable, Codable, CaseIterable {
    /// `w ← w − rate · g`, of a gradient of all weights together that is no longer than 1.
    case sgd
    /// `m ← β₁ m + (1 − β₁) g`, `v ← β₂ v + (1 − β₂) g²`, `w ← w − rate · (m̂ / (√v̂ + ε) + decay · w)`, with `m̂ = m /
    /// (1 − β₁ᵗ)` and `v̂ = v / (1 − β₂ᵗ)` in step `t`. Source: Loshchilov and Hutter 2019, "Decoupled Weight Decay
    /// Regularization", algorithm 2.
    case adamW = "adamw"

    /// Of toys, which learn a short text by heart.
    fileprivate var rate: Double {
        switch self {
        case .sgd: 0.5
        case .adamW: 0.01
        }
    }
    fileprivate static let (firstDecay, secondDecay, epsilon, weightDecay) = (0.9, 0.99, 1e-8, 0.01)
}

/// Trains a model on one batch, step by step. Its weights are float32, whatever they were.
///
/// Divisors of frequencies and places stay as they are, and decays below zero.
public final class Trainer {
    private let source: any TensorSource
    private let optimiser: Optimiser
    private let session: Session
    private var tensors: [Tensor] = []
    private var steps = 0

    fileprivate struct Tensor {
        var weight: Weight
        var data: TensorData
        var elements: [Float]
        /// Of AdamW; empty before the first step.
        var means: [Double] = []
        var squares: [Double] = []

        var isFixed: Bool { weight.role == .places || weight.role == .ropeFactor }
    }

    /// - Parameters:
    ///   - source: the model as it is at first.
    ///   - optimiser: what changes the weights.
    ///   - device: what computes losses and gradients.
    ///   - options: of the session; its micro-batches hold what is learned.
    /// - Throws: as `Model` and `Session`.
    public init(
        _ source: any TensorSource, _ optimiser: Optimiser, on device: any Device, options: SessionOptions
    ) throws {
        self.source = source
        self.optimiser = optimiser
        for weight in try Model(source).weights {
            guard let info = source.tensors.first(where: { $0.name == weight.name }) else { continue }
            let data = try source.data(of: info)
            let elements = try [Float](unsafeUninitializedCapacity: info.shape.count) { elements, count in
                let room = UnsafeMutableBufferPointer(rebasing: elements[..<info.shape.count])
                try data.bytes.withBytes { try data.type.decode($0, order: data.byteOrder, into: room) }
                count = info.shape.count
            }
            tensors.append(Tensor(weight: weight, data: data, elements: elements))
        }
        let model = try Model(Self.source(source, tensors))
        session = try Session(model, placement: Placement(device.name), devices: DeviceSet([device]), options: options)
    }

    /// The model as it is now.
    public func trained() throws -> MemorySource { try Self.source(source, tensors) }

    private static func source(_ source: any TensorSource, _ tensors: [Tensor]) throws -> MemorySource {
        let known = Dictionary(tensors.map { ($0.weight.name, $0) }) { first, _ in first }
        return try MemorySource(
            source.metadata, optional: .of(source.tensors),
            type: { weight in known[weight.name].flatMap { $0.isFixed ? $0.data.type : nil } ?? .f32 }
        ) { tensor in
            guard let found = known[tensor.name] else { throw ModelError(subject: tensor.name, reason: "is missing") }
            return found.current(tensor.shape)
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
        let length = optimiser == .sgd
            ? gradient.weights.values.reduce(0) { $0 + $1.doubles.reduce(0) { $0 + $1 * $1 } }.squareRoot() : 1
        var changed: [String: TensorData] = [:]
        for index in tensors.indices where !tensors[index].isFixed {
            guard let elements = gradient.weights[tensors[index].weight.name]?.doubles else { continue }
            tensors[index].change(by: elements, optimiser, steps, length)
            changed[tensors[index].weight.name] = tensors[index].current(tensors[index].weight.shape)
        }
        try session.replaceWeights(by: changed)
        return gradient.loss
    }
}

extension Trainer.Tensor {
    fileprivate mutating func change(by gradient: [Double], _ optimiser: Optimiser, _ step: Int, _ length: Double) {
        switch optimiser {
        case .sgd:
            let rate = optimiser.rate / max(1, length)
            for i in elements.indices { elements[i] -= Float(rate * gradient[i]) }
        case .adamW:
            if means.isEmpty {
                means = Array(repeating: 0, count: elements.count)
                squares = means
            }
            let (first, second) = (Optimiser.firstDecay, Optimiser.secondDecay)
            let (rest, restOfSquares) = (1 - pow(first, Double(step)), 1 - pow(second, Double(step)))
            for i in elements.indices {
                means[i] = first * means[i] + (1 - first) * gradient[i]
                squares[i] = second * squares[i] + (1 - second) * gradient[i] * gradient[i]
                let direction = means[i] / rest / ((squares[i] / restOfSquares).squareRoot() + Optimiser.epsilon)
                elements[i] -= Float(optimiser.rate * (direction + Optimiser.weightDecay * Double(elements[i])))
            }
        }
        if weight.role == .decay { for i in elements.indices { elements[i] = min(elements[i], -0x1p-10) } }
    }

    fileprivate func current(_ shape: Shape) -> TensorData {
        if isFixed {
            var data = data
            data.shape = shape
            return data
        }
        let bytes = TensorBytes(count: 4 * elements.count) { bytes in
            for (i, element) in elements.enumerated() {
                bytes.storeBytes(of: element.bitPattern.littleEndian, toByteOffset: 4 * i, as: UInt32.self)
            }
        }
        return TensorData(name: weight.name, shape: shape, type: .f32, bytes: bytes)
    }
}
