import Devices
import Foundation
import GGUF
import ModelGraph

/// How the weights of a toy model are drawn: seed, distribution and type of each tensor.
///
/// What no rule says follows from the tensor's role, so that the model behaves like a trained one:
/// matrices preserve the scale of activations, norms are near one, a decay is negative.
public struct WeightRecipe: Hashable, Sendable, Codable {
    public var seed: UInt64
    /// Type of the large matrices (embeddings and projections); see `type(of:)` for what stays F32.
    public var type: TensorType
    /// Exceptions. Each property of a tensor is taken from the first rule that matches and states it.
    public var rules: [Rule]

    public init(seed: UInt64, type: TensorType = .f32, rules: [Rule] = []) {
        self.seed = seed
        self.type = type
        self.rules = rules
    }

    /// - Parameters:
    ///   - seed: of all weights.
    ///   - type: of the large matrices.
    ///   - adversities: in front of `rules`, so that they win.
    ///   - rules: exceptions.
    public init(seed: UInt64, type: TensorType = .f32, adversities: [Adversity], rules: [Rule] = []) {
        self.init(seed: seed, type: type, rules: adversities.flatMap(\.rules) + rules)
    }

    /// An exception for the tensors that match both the pattern and the role, where these are given.
    public struct Rule: Hashable, Sendable, Codable {
        /// Regular expression that the whole name matches.
        public var pattern: String?
        public var role: Weight.Role?

        public var type: TensorType?
        public var distribution: WeightDistribution?
        /// Whether the distribution is multiplied by `1/√fan-in`.
        public var overRootFanIn: Bool?
        /// Share of elements that are zero, 0 ... 1.
        public var zeros: Double?
        /// Share of elements that are 64 times larger, 0 ... 1.
        public var outliers: Double?

        public init(
            pattern: String? = nil, role: Weight.Role? = nil, type: TensorType? = nil,
            distribution: WeightDistribution? = nil, overRootFanIn: Bool? = nil, zeros: Double? = nil,
            outliers: Double? = nil
        ) {
            self.pattern = pattern
            self.role = role
            self.type = type
            self.distribution = distribution
            self.overRootFanIn = overRootFanIn
            self.zeros = zeros
            self.outliers = outliers
        }

        func matches(_ weight: Weight) throws -> Bool {
            if let role, role != weight.role { return false }
            return try pattern.map { try NamePattern($0).matches(weight.name) } ?? true
        }
    }

    /// - Throws: `ModelError` that quotes a pattern that is none, which otherwise the first tensor meets.
    public func checkPatterns() throws { for rule in rules { _ = try rule.pattern.map(NamePattern.init) } }

    // MARK: What holds for one tensor

    /// The type in which a tensor is drawn.
    ///
    /// Vectors, and matrices that are not applied to activations (routers, decays, convolution kernels,
    /// position biases), are F32 whatever the recipe says: so they are in released files, and ggml's ops
    /// take nothing else. A matrix whose rows are no multiple of the type's block takes a type of smaller blocks, as
    /// `llama-quantize` would have it, or else F32.
    public func type(of weight: Weight) throws -> TensorType {
        if weight.role == .places { return .i64 }
        guard weight.shape.rank >= 2, [.projection, .unscaledQuery, .embedding].contains(weight.role) else {
            return .f32
        }
        let wanted = try rules.first { try $0.type != nil && $0.matches(weight) }?.type ?? type
        return [wanted, wanted.ofSmallerBlocks].first { weight.shape.last % $0.blockSize == 0 } ?? .f32
    }

    /// The distribution of a tensor's elements, before zeros and outliers.
    func distribution(of weight: Weight) throws -> WeightDistribution {
        let rule = try rules.first { try $0.distribution != nil && $0.matches(weight) }
        let (distribution, overRootFanIn) =
            rule.flatMap { rule in rule.distribution.map { ($0, rule.overRootFanIn ?? false) } }
            ?? weight.role.distribution
        guard distribution.isFinite else {
            throw ModelError(subject: weight.name, reason: "cannot be drawn from \(distribution)")
        }
        return overRootFanIn ? distribution.scaled(by: WeightDistribution.inverseRoot(weight.shape.last)) : distribution
    }

    private func share(_ property: (Rule) -> Double?, of weight: Weight) throws -> Double {
        let share = try rules.first { try property($0) != nil && $0.matches(weight) }.flatMap(property) ?? 0
        guard (0...1).contains(share) else {
            throw ModelError(subject: weight.name, reason: "a share of \(share) of its elements: must be in 0 ... 1")
        }
        return share
    }
}

extension WeightRecipe {
    /// The weight's elements, drawn and encoded in its type.
    public func draw(_ weight: Weight) throws -> TensorData {
        let generator = WeightGenerator(seed: seed, name: weight.name)
        if weight.role == .places { return try drawPlaces(weight, generator) }
        let distribution = try distribution(of: weight)
        let (zeros, outliers) = try (share(\.zeros, of: weight), share(\.outliers, of: weight))
        let type = try type(of: weight)
        let count = weight.shape.count
        guard let byteCount = type.byteCount(rowLength: weight.shape.last, rows: weight.shape.rows) else {
            throw ModelError(subject: weight.name, reason: "cannot be encoded as \(type.name)")
        }
        // An allocation that the machine cannot give ends the process.
        guard byteCount <= ProcessInfo.processInfo.physicalMemory else {
            throw ModelError(
                subject: weight.name, reason: "takes \(byteCount >> 20) MiB, more than the memory of this machine")
        }

        func fill(_ elements: UnsafeMutableBufferPointer<Float>, from first: Int) {
            generator.fill(elements, from: first, distribution)
            generator.disturb(elements, from: first, zeros: zeros, outliers: outliers)
        }
        let bytes: TensorBytes
        if type == .f32 {
            bytes = TensorBytes(count: byteCount) { fill($0.bindMemory(to: Float.self), from: 0) }
        } else {
            bytes = try TensorBytes(count: byteCount) { output in
                // Whole rows at a time: whole blocks, few enough to stay in the processor's cache.
                let rows = max(1, 4096 / weight.shape.last), chunk = rows * weight.shape.last
                let chunkBytes = byteCount / weight.shape.rows * rows
                try withUnsafeTemporaryAllocation(of: Float.self, capacity: min(chunk, count)) { elements in
                    var first = 0, offset = 0
                    while first < count {
                        let part = UnsafeMutableBufferPointer(rebasing: elements[..<min(chunk, count - first)])
                        fill(part, from: first)
                        let end = min(offset + chunkBytes, byteCount)
                        try type.encode(
                            UnsafeBufferPointer(part),
                            into: UnsafeMutableRawBufferPointer(rebasing: output[offset..<end]))
                        first += part.count
                        offset = end
                    }
                }
            }
        }
        return TensorData(name: weight.name, shape: weight.shape, type: type, bytes: bytes)
    }
}

extension WeightRecipe {
    /// Some of the numbers below the weight's bound, in a random order.
    private func drawPlaces(_ weight: Weight, _ generator: WeightGenerator) throws -> TensorData {
        let keys = [Float](unsafeUninitializedCapacity: weight.bound) { elements, count in
            generator.fill(.init(rebasing: elements[..<weight.bound]), from: 0, .normal(mean: 0, deviation: 1))
            count = weight.bound
        }
        let places = keys.indices.sorted { (keys[$0], $0) < (keys[$1], $1) }.prefix(weight.shape.count)
        let numbers = places.map { Float($0) }
        let bytes = try TensorBytes(count: 8 * numbers.count) { output in
            try numbers.withUnsafeBufferPointer { try TensorType.i64.encode($0, into: output) }
        }
        return TensorData(name: weight.name, shape: weight.shape, type: .i64, bytes: bytes)
    }
}

extension TensorType {
    /// What takes the place of a type of large blocks where rows are no multiple of them. Source: `llama-quant.cpp`.
    public var ofSmallerBlocks: TensorType {
        switch self {
        case .q2_0, .q2_K, .q3_K, .tq1_0, .tq2_0: .q4_0
        case .q4_K: .q5_0
        case .q5_K: .q5_1
        case .q6_K: .q8_0
        case _ where blockSize == 256: .iq4_NL
        default: self
        }
    }
}

extension Weight.Role {
    /// What a weight of this role looks like in a trained model, and whether that is per `√fan-in`.
    ///
    /// Embeddings are as small as a projection's rows: tied logits then have unit scale, and the blocks,
    /// not the embedding, dominate the residual stream, so that an error in a block shows.
    var distribution: (WeightDistribution, overRootFanIn: Bool) {
        switch self {
        case .embedding, .projection, .convolution: (.normal(mean: 0, deviation: 1), true)
        // Scores of usual heads then have a spread near one, as the scale would give them.
        case .unscaledQuery: (.normal(mean: 0, deviation: 0.125), true)
        // A spread of two between logits: ties among the best are rare, and no expert takes all.
        case .router: (.normal(mean: 0, deviation: 2), true)
        case .scale: (.normal(mean: 1, deviation: 0.125), false)
        case .bias: (.normal(mean: 0, deviation: 0.0625), false)
        case .selectionBias: (.normal(mean: 0, deviation: 0.25), false)
        case .decay: (.uniform(lower: -16, upper: -1), false)
        // Softplus takes these to 0.001 ... 0.7.
        case .timeStepBias: (.uniform(lower: -7, upper: 0), false)
        case .sink, .positionBias: (.normal(mean: 0, deviation: 1), false)
        case .ropeFactor: (.uniform(lower: 1, upper: 8), false)
        case .blend, .places: (.uniform(lower: 0, upper: 1), false)
        }
    }
}
