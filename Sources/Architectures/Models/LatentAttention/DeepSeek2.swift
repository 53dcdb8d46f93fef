import Foundation
import ModelGraph

/// DeepSeek-V2 and V3, Kimi K2, GLM-4.7-Flash and others: latent attention, leading dense layers, then experts in groups
/// beside shared ones, or dense layers alone.
/// Sources: DeepSeek-V2 (2024); DeepSeek-V3 technical report (2024).
public struct DeepSeek2: Architecture {
    public static let name = "deepseek2"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: MultiHeadLatentAttention
    let isAbsorbed: Bool
    let rotary: RotaryEmbedding
    /// YaRN's `mscale_all_dim`; 0: not given.
    let magnitudeOfAll: Double
    let temperature: (scale: Double, length: Double)?
    let leadingDense: Int
    let feedForward: Int
    /// nil: every block is dense.
    let experts: Experts?
    let sharedExperts: Int

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, predictionBlocks: true)
        traits = try Traits(decoder: &h, predictionBlocks: dimensions.predictionBlocks)
        normalization = try Normalization(&h, .rms, inner: MultiHeadLatentAttention.normalization.epsilon)
        (attention, isAbsorbed) = try Self.attention(&h, dimensions)
        rotary = try RotaryEmbedding(&h, dimensions, rotated: attention.positional, pairing: .normal)
        // Files hold a tenth of the value.
        magnitudeOfAll = 10 * (try h.real(
            "rope.scaling.yarn_log_multiplier", 0...1e3, fuzz: [0.1, 0.0707, 0, 0.25], default: 0, "a tenth of YaRN's mscale_all_dim"))
        let scale = try h.real("attention.temperature_scale", 0...1e3, fuzz: [0.1, 0.5, 0], default: 0, "growth of queries with position; 0: none")
        temperature = scale == 0 ? nil : (scale, Double(try h.integer(
            "attention.temperature_length", 1...(1 << 30), fuzz: [1, 8, 3, 64], "positions of one step of that growth")))

        var options = Experts.Options()
        // Files of GLM-4.7-Flash did not say it at first.
        let isFlash = [47, 48].contains(dimensions.layers) && dimensions.vocabulary == 154_880
        options.gatings = [.softmax, .sigmoid, .softmaxOfSelected]
        options.defaultGating = isFlash ? .sigmoid : .softmax
        options.declaresNormalization = true
        options.declaresScale = true
        options.groups = true
        options.normalizationEpsilon = 1e-20
        experts = try Experts.optional(&h, dimensions, options, feedForward: 0, isMostlyThere: true)
        if experts != nil {
            leadingDense = try h.integer(
                "leading_dense_block_count", 0...512, fuzz: Array(0...dimensions.layers), default: 0, "dense blocks before those with experts")
            sharedExperts = try h.integer("expert_shared_count", 1...4096, fuzz: [1, 2, 3], "experts that every token uses")
        } else {
            leadingDense = try h.integer(
                "leading_dense_block_count", dimensions.layers...512, fuzz: [dimensions.blocks], "all blocks: none has experts")
            sharedExperts = try h.integer("expert_shared_count", 0...0, fuzz: [0], default: 0, drawsAbsence: false, "no experts, no shared ones")
            _ = try h.integer("expert_feed_forward_length", 0...(1 << 20), fuzz: [0], default: 0, drawsAbsence: false, "not used: hidden units of an expert")
        }
        if leadingDense == 0 { try h.note("feed_forward_length", "no block is dense") }
        feedForward = leadingDense == 0 ? 0 : try h.feedForwardLength("hidden units of a dense block")
    }

    /// Whether the model is absorbed is told by `attention.key_length_mla`; then `key_length`, `value_length`
    /// and `head_count_kv` describe the cache.
    private static func attention(
        _ h: inout some Hyperparameters, _ dimensions: Dimensions
    ) throws -> (MultiHeadLatentAttention, isAbsorbed: Bool) {
        typealias MLA = MultiHeadLatentAttention
        let sizes = 1...65536
        let heads = try h.integer("attention.head_count", 1...4096, fuzz: [4, 2, 1, 3, 5, 8], "query heads")
        let positional = try h.integer("rope.dimension_count", 2...65536, fuzz: MLA.positionalSizes, "elements of each head that hold the position")
        try h.require(positional % 2 == 0, "rope.dimension_count", because: "\(positional) elements cannot be rotated: must be even")
        let latent = try h.integer("attention.kv_lora_rank", sizes, fuzz: MLA.latentSizes, "width of the latent vector")
        // Released models of these sizes compress no queries, and some of their files say otherwise.
        let isLite = [26, 27].contains(dimensions.layers) || dimensions.layers == 48 && dimensions.vocabulary == 128_256
        let queryRank = isLite
            ? 0 : try h.integer("attention.q_lora_rank", 0...65536, fuzz: MLA.queryRanks, default: 0, drawsAbsence: false, "width of the compressed query; 0: not compressed")

        // In the expanded form the positional elements are rotated in place: engines want them at an even offset.
        let evenSizes = MLA.contentSizes.filter { $0 % 2 == 0 }.map { $0 + positional }
        let keySize = try h.integer("attention.key_length_mla", 0...65536, fuzz: MLA.contentSizes.map { $0 + positional }, default: 0, "size of a key head of absorbed attention")
        let isAbsorbed = keySize > 0
        let valueSize = isAbsorbed
            ? try h.integer("attention.value_length_mla", sizes, fuzz: MLA.valueSizes, "size of a value head of absorbed attention")
            : try h.integer("attention.value_length_mla", 0...0, fuzz: [0], default: 0, "0: attention is not absorbed")
        let (row, rowValue) = (latent + positional, latent)
        let groups = isAbsorbed
            ? try h.integer("attention.head_count_kv", 1...4096, fuzz: [1], "heads of the cache")
            : try h.integer("attention.head_count_kv", 1...4096, fuzz: [heads], default: heads, "key/value heads")
        try h.require(
            groups == (isAbsorbed ? 1 : heads), "attention.head_count_kv", "attention.head_count", "attention.key_length_mla",
            because: isAbsorbed ? "absorbed attention caches one head" : "expanded attention has as many keys as queries")
        let key = try h.integer("attention.key_length", sizes, fuzz: isAbsorbed ? [row] : evenSizes, "size of a cached key")
        let value = try h.integer("attention.value_length", sizes, fuzz: isAbsorbed ? [rowValue] : MLA.valueSizes, "size of a cached value")
        try h.require(
            !isAbsorbed || key == row && value == rowValue, "attention.key_length", "attention.value_length",
            "attention.kv_lora_rank", "rope.dimension_count",
            because: "the cache of absorbed attention has rows of \(row), whose first \(rowValue) are the values")
        let mla = MLA(
            heads: heads, queryRank: queryRank, latentSize: latent, positional: positional,
            keySize: isAbsorbed ? keySize : key, valueSize: isAbsorbed ? valueSize : value)
        try h.require(
            mla.contentSize > 0, isAbsorbed ? "attention.key_length_mla" : "attention.key_length", "rope.dimension_count",
            because: "\(positional) positional elements leave nothing of key heads of \(mla.keySize)")
        return (mla, isAbsorbed)
    }

    /// Magnitude of the rotated elements, and scale of the scores.
    ///
    /// With `m(f, s) = 0.1 s ln f + 1` of the stretching factor, YaRN multiplies the rotated elements by
    /// `m(f, mscale) / m(f, mscale_all_dim)` and the scores by `m(f, mscale_all_dim)²`; without these options by `m(f, 1)`
    /// and 1. Files hold `mscale_all_dim` only; released models have an equal `mscale`, so that their quotient is 1.
    /// Source: `DeepseekV2Attention` and `DeepseekV2YarnRotaryEmbedding` of the models' authors, and `DeepseekV3Attention`.
    private var magnitudes: (rotated: Double?, scale: Double) {
        let scale = 1 / Double(attention.keySize).squareRoot()
        guard rotary.scaling == .yarn, magnitudeOfAll != 0 else { return (nil, scale) }
        let all = RotaryEmbedding.yarnMagnitude(1 / rotary.frequencyScale, magnitudeOfAll)
        return (rotary.yarn.magnitude ?? 1, all * all * scale)
    }

    public func build(_ g: GraphBuilder) { g.decoder(dimensions, normalization) { transform($0, $1, $2) } }

    /// One block: `[T, D] → [T, D]`.
    private func transform(_ block: Scope, _ layer: Int, _ x: Value) -> Value {
        let (magnitude, scale) = magnitudes
        let temperature = temperature.map {
            block.g.applyShared(.attentionTemperature(scale: $0.scale, length: $0.length, offset: 0), block.g.positions)
        }
        let mixed = attention.attend(
            block, block.norm("attn_norm", x, normalization), isAbsorbed: isAbsorbed, scale: scale, mask: traits.mask,
            rotary: (rotary, magnitude), temperature: temperature)
        let x = x + block.linear("attn_output", mixed, dimensions.embedding, bias: .rare)
        let normed = block.norm("ffn_norm", x, normalization)
        guard let experts, layer >= leadingDense else {
            return x + block.feedForward(normed, size: feedForward, .gated(.swiglu))
        }
        var tensors = Scope.ExpertTensors()
        tensors.selectionBias = .optional
        tensors.mayScoreGroupsByBest = true
        tensors.mayFuseGateUp = true
        return x + block.mixture(normed, experts, tensors)
            + block.feedForward(normed, size: experts.size * sharedExperts, .gated(.swiglu), suffix: "_shexp")
    }
}
