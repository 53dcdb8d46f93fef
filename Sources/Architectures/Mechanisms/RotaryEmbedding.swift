import Foundation
import ModelGraph

/// Rotary position embedding with its scaling, as the metadata describes it.
///
/// Sources: Su et al. 2021 (RoPE); Peng et al. 2023 (YaRN), and its authors' repository for the options that the paper
/// leaves out; `modeling_rope_utils.py` of transformers, where `attention_factor` replaces YaRN's magnitude; Ding et
/// al. 2024 (LongRoPE).
public struct RotaryEmbedding: Hashable, Sendable {
    public enum Scaling: String, Hashable, Sendable { case none, linear, yarn, longrope }

    public let pairing: Rope.Pairing
    /// Rotated elements of each head.
    public let dimensions: Int
    public let base: Double
    public let scaling: Scaling
    /// By how much positions are stretched.
    public let factor: Double
    public let originalContext: Int
    /// Multiplies the magnitude.
    public let attentionFactor: Double
    public let yarn: YaRN
    /// Where tokens may have several positions.
    public let sections: Rope.Sections?

    /// What YaRN may have besides the factor; the values that its paper recommends where the metadata does not say.
    public struct YaRN: Hashable, Sendable {
        /// Rotations over the original context from which on pairs are not stretched, and up to which they are wholly.
        public let betaFast: Double
        public let betaSlow: Double
        /// How much of the ramp counts.
        public let extrapolation: Double
        /// The magnitude of queries and keys each, in place of what follows from the factor.
        public let magnitude: Double?
        /// Whether the ends of the ramp are whole pairs.
        public let roundsRamp: Bool

        /// Keys that only a model with YaRN has.
        init(_ h: inout some Hyperparameters, roundsRamp: Bool) throws {
            let fast = try h.real(
                "rope.scaling.yarn_beta_fast", 1e-3...1e6, fuzz: [32, 16, 2, 1], default: 32, isRare: true,
                "rotations from which on YaRN stretches nothing")
            let slow = [1, 0.5, 2].filter { $0 <= fast }
            betaSlow = try h.real(
                "rope.scaling.yarn_beta_slow", 1e-3...1e6, fuzz: slow, default: 1, isRare: true,
                "rotations up to which YaRN stretches wholly")
            betaFast = fast
            try h.require(
                betaSlow <= betaFast, "rope.scaling.yarn_beta_slow", "rope.scaling.yarn_beta_fast",
                because: "YaRN's ramp runs backwards")
            // A negative one is llama.cpp's way to save that there was none.
            let extrapolation = try h.real(
                "rope.scaling.yarn_ext_factor", -1...1, fuzz: [1, 0.5, 0], default: 1, isRare: true,
                "how much of YaRN's ramp counts; negative: all")
            self.extrapolation = extrapolation < 0 ? 1 : extrapolation
            magnitude = try h.optionalReal(
                "rope.scaling.yarn_attn_factor", 0...1e6, fuzz: [0.8, 1, 1.25], isRare: true,
                "the magnitude that YaRN gives queries and keys")
            self.roundsRamp = roundsRamp
        }

        /// Of a model without YaRN.
        init() { (betaFast, betaSlow, extrapolation, magnitude, roundsRamp) = (32, 1, 0, nil, true) }
    }

    /// - Parameters:
    ///   - headSize: of queries and keys.
    ///   - whole: every element must be rotated.
    ///   - scalings: what the architecture's graph can do; a single one is not a key.
    ///   - roundsRamp: whether the ends of YaRN's ramp are whole pairs, which no key says.
    ///   - sections: of the positions, where tokens may have several.
    public init(
        _ h: inout some Hyperparameters, _ dimensions: Dimensions, headSize: Int, pairing: Rope.Pairing,
        whole: Bool = false, scalings: [Scaling] = [.linear, .none, .yarn], roundsRamp: Bool = true,
        sections: PositionSections? = nil
    ) throws {
        let even = Array(stride(from: 2, through: headSize, by: 2))
        let rotated = try h.integer(
            "rope.dimension_count", 1...65536,
            fuzz: whole ? [headSize] : [headSize, headSize / 2, 2].filter(even.contains), default: headSize,
            "rotated elements of each head")
        try h.require(
            rotated % 2 == 0 && rotated <= headSize && (!whole || rotated == headSize),
            "rope.dimension_count", "attention.key_length",
            because: "\(rotated) rotated elements of heads of \(headSize): must be even and "
                + (whole ? "all of the head" : "no more than the head"))
        try self.init(
            &h, dimensions, rotated: rotated, pairing: pairing, scalings: scalings, roundsRamp: roundsRamp,
            sections: sections)
    }

    /// - Parameter rotated: elements of each head, for architectures that declare them themselves.
    public init(
        _ h: inout some Hyperparameters, _ dimensions: Dimensions, rotated: Int, pairing: Rope.Pairing,
        scalings: [Scaling] = [.linear, .none, .yarn], roundsRamp: Bool = true, sections: PositionSections? = nil
    ) throws {
        self.pairing = pairing
        self.dimensions = rotated
        base = try h.real(
            "rope.freq_base", 1...1e12, fuzz: [10_000, 500_000, 100, 1_000_000], default: 10_000,
            "base of the rotation frequencies")
        let name = try scalings.count == 1 ? scalings[0].rawValue : h.text(
            "rope.scaling.type", among: scalings.map(\.rawValue), default: Scaling.linear.rawValue,
            "how positions are stretched")
        scaling = Scaling(rawValue: name) ?? .linear
        factor = scaling == .none ? 1 : try h.real(
            "rope.scaling.factor", 0...1e6, fuzz: [1, 2, 4, 8, 1.5], default: 1, "by how much positions are stretched")
        originalContext = scaling == .yarn || scaling == .longrope
            ? try h.integer(
                "rope.scaling.original_context_length", 1...(1 << 30), fuzz: [32, 64, 16], default: dimensions.context,
                "context before stretching")
            : dimensions.context
        attentionFactor = try h.real(
            "rope.scaling.attn_factor", 0...1e6, fuzz: Domains.scales.filter { $0 > 0 }, default: 1,
            "multiplies the rotated values")
        try h.note("rope.scaling.finetuned", "whether the model was trained with the stretched positions")
        yarn = scaling == .yarn ? try YaRN(&h, roundsRamp: roundsRamp) : YaRN()
        self.sections = try sections?.read(&h, pairs: rotated / 2)
    }

    /// The magnitude that YaRN gives queries and keys each: `0.1 m ln(factor) + 1`, with `m` 1 but for DeepSeek's
    /// models.
    public static func yarnMagnitude(_ factor: Double, _ m: Double = 1) -> Double {
        factor <= 1 ? 1 : 0.1 * m * log(factor) + 1
    }

    /// 1 / `factor`; a factor of 0 means none, as files have it.
    public var frequencyScale: Double { factor == 0 ? 1 : 1 / factor }

    /// The rotation of the whole head, or of `dimensions` elements from `offset`.
    /// - Parameters:
    ///   - base: another base than the model's, for windowed layers.
    ///   - magnitude: another magnitude than YaRN's own.
    public func rope(offset: Int = 0, base: Double? = nil, magnitude: Double? = nil) -> Rope {
        let own = scaling == .yarn ? yarn.magnitude ?? Self.yarnMagnitude(1 / frequencyScale) : 1
        return Rope(
            pairing: pairing, dimensions: dimensions, offset: offset, base: base ?? self.base,
            frequencyScale: frequencyScale, extrapolation: yarn.extrapolation,
            magnitude: (magnitude ?? own) * attentionFactor, betaFast: yarn.betaFast, betaSlow: yarn.betaSlow,
            roundsRamp: yarn.roundsRamp, originalContext: originalContext, sections: sections)
    }

    /// The model's frequency factors, if it has them: LongRoPE's by context, else `rope_freqs`.
    public func factors(_ g: GraphBuilder) -> Value? {
        scaling == .longrope
            ? factorsByContext(g) : g.model.optionalWeight("rope_freqs.weight", [dimensions / 2], .ropeFactor)
    }

    /// LongRoPE's frequency factors, if the model has them: those for long contexts, or those for short ones.
    public func factorsByContext(_ g: GraphBuilder) -> Value? {
        let shape: Shape = [dimensions / 2]
        // Both are asked for, so that a saved model keeps both.
        let long = g.model.optionalWeight("rope_factors_long.weight", shape, .ropeFactor)
        let short = g.model.optionalWeight("rope_factors_short.weight", shape, .ropeFactor)
        return g.batch.context > originalContext ? long : short
    }
}

extension Value {
    /// `[T, H, D]` rotated by the positions of the batch.
    public func rotated(_ rope: Rope, factors: Value? = nil) -> Value {
        builder.apply(.rope(rope, factors: factors != nil), [self, builder.positions] + [factors].compactMap { $0 })
    }
}
