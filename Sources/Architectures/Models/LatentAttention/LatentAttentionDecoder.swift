import ModelGraph

/// What DeepSeek's models and those after them share: latent attention, leading dense layers, then experts in groups
/// beside shared ones; attention to all positions, or to those that an indexer picks.
struct LatentAttentionDecoder: Sendable {
    /// What is not the same everywhere.
    struct Variant: Sendable {
        var form = MultiHeadLatentAttention.Form.absorbed
        var compression = MultiHeadLatentAttention.Compression.always
        /// Of the maps around attention.
        var bias = Scope.Bias.none
        /// Whether queries may grow with the position.
        var hasTemperature = false
        var gatings: [Experts.Gating] = [.sigmoid, .softmax, .softmaxOfSelected]
        /// What an absent key means; nil: it is required.
        var defaultGating: Experts.Gating?
        /// Whether a model may have no experts.
        var mayBeDense = false
        var tensors = Scope.ExpertTensors()
        /// How the indexer's heads are rotated; nil: there is none.
        var indexing: Rope.Pairing?
        /// Which layers have an indexer where the metadata does not say; nil: all have, always.
        var indexedLayers: (@Sendable (Dimensions) -> [Bool])?

        init() { tensors.selectionBias = .optional }
    }

    let dimensions: Dimensions
    let traits: Traits
    private let variant: Variant
    private let normalization: Normalization
    private let attention: MultiHeadLatentAttention
    private let rotary: RotaryEmbedding
    /// YaRN's `mscale_all_dim`; 0: not given.
    private let magnitudeOfAll: Double
    private let temperature: (scale: Double, length: Double)?
    private let indexer: LightningIndexer?
    private let isIndexed: [Bool]
    private let leadingDense: Int
    private let feedForward: Int
    /// nil: every block is dense.
    private let experts: Experts?
    private let sharedExperts: Int

    init(_ h: inout some Hyperparameters, _ dimensions: Dimensions, _ variant: Variant) throws {
        self.dimensions = dimensions
        self.variant = variant
        traits = try Traits(
            decoder: &h, bidirectional: variant.indexing == nil, predictionBlocks: dimensions.predictionBlocks)
        normalization = try Normalization(&h, .rms, inner: MultiHeadLatentAttention.normalization.epsilon)
        let heads = try MultiHeadLatentAttention.heads(&h)
        attention = try MultiHeadLatentAttention(&h, heads: heads, form: variant.form, compression: variant.compression)
        rotary = try RotaryEmbedding(&h, dimensions, rotated: attention.positional, pairing: .normal)
        // Files hold a tenth of the value.
        magnitudeOfAll = 10 * (try h.real(
            "rope.scaling.yarn_log_multiplier", 0...1e3, fuzz: [0.1, 0.0707, 0, 0.25], default: 0,
            "a tenth of YaRN's mscale_all_dim"))
        let scale = variant.hasTemperature
            ? try h.real(
                "attention.temperature_scale", 0...1e3, fuzz: [0.1, 0.5, 0], default: 0,
                "growth of queries with position; 0: none") : 0
        temperature = scale == 0 ? nil : (scale, Double(try h.integer(
            "attention.temperature_length", 1...(1 << 30), fuzz: [1, 8, 3, 64],
            "positions of one step of that growth")))
        indexer = variant.indexing == nil ? nil : try LightningIndexer(&h, least: attention.positional)
        isIndexed = if let indexedLayers = variant.indexedLayers {
            try LightningIndexer.layers(&h, dimensions, default: indexedLayers(dimensions))
        } else {
            Array(repeating: true, count: dimensions.layers)
        }

        var options = Experts.Options()
        options.gatings = variant.gatings
        options.defaultGating = variant.defaultGating
        options.declaresNormalization = true
        options.declaresScale = true
        options.groups = true
        options.normalizationEpsilon = 1e-20
        experts = variant.mayBeDense
            ? try Experts.optional(&h, dimensions, options, feedForward: 0, isMostlyThere: true)
            : try Experts(&h, dimensions, options, feedForward: 0)
        if experts != nil {
            leadingDense = try h.leadingDenseBlocks(dimensions)
            sharedExperts = try h.integer(
                "expert_shared_count", 1...4096, fuzz: [1, 2, 3], "experts that every token uses")
        } else {
            leadingDense = try h.integer(
                "leading_dense_block_count", dimensions.layers...512, fuzz: [dimensions.blocks],
                "all blocks: none has experts")
            sharedExperts = try h.integer(
                "expert_shared_count", 0...0, fuzz: [0], default: 0, drawsAbsence: false, "no experts, no shared ones")
            _ = try h.integer(
                "expert_feed_forward_length", 0...(1 << 20), fuzz: [0], default: 0, drawsAbsence: false,
                "not used: hidden units of an expert")
        }
        if leadingDense == 0 { try h.note("feed_forward_length", "no block is dense") }
        feedForward = leadingDense == 0 ? 0 : try h.feedForwardLength("hidden units of a dense block")
    }

    /// Magnitude of the rotated elements, and scale of the scores.
    ///
    /// With `m(f, s) = 0.1 s ln f + 1` of the stretching factor, YaRN multiplies the rotated elements by
    /// `m(f, mscale) / m(f, mscale_all_dim)` and the scores by `m(f, mscale_all_dim)²`; without these options by `m(f,
    /// 1)` and 1. Files hold `mscale_all_dim` only; released models have an equal `mscale`, so that their quotient is
    /// 1. Source: `DeepseekV2Attention` and `DeepseekV2YarnRotaryEmbedding` of the models' authors, and
    /// `DeepseekV3Attention`.
    private var magnitudes: (rotated: Double?, scale: Double) {
        guard rotary.scaling == .yarn, magnitudeOfAll != 0 else { return (nil, attention.scale) }
        let all = RotaryEmbedding.yarnMagnitude(1 / rotary.frequencyScale, magnitudeOfAll)
        return (rotary.yarn.magnitude ?? 1, all * all * attention.scale)
    }

    func build(_ g: GraphBuilder) {
        var choice: Value?
        g.decoder(dimensions, normalization) { transform($0, $1, $2, &choice) }
    }

    /// One block: `[T, D] → [T, D]`.
    /// - Parameter choice: the positions that the last indexer picked.
    private func transform(_ block: Scope, _ layer: Int, _ x: Value, _ choice: inout Value?) -> Value {
        let (magnitude, scale) = magnitudes
        var options = MultiHeadLatentAttention.Options()
        options.bias = variant.bias
        options.rope = { rotary.rope(offset: $0, magnitude: magnitude) }
        options.temperature = temperature.map {
            block.g.applyShared(.attentionTemperature(scale: $0.scale, length: $0.length, offset: 0), block.g.positions)
        }
        let normed = block.norm("attn_norm", x, normalization)
        let mixed = attention.attend(block, normed, scale: scale, mask: traits.mask, options) { compressed, mask in
            guard let indexer, let pairing = variant.indexing else { return mask }
            // The blocks that predict further tokens have indexers of their own.
            if layer < dimensions.layers, !isIndexed[layer], let choice { return choice }
            var rope = rotary.rope(magnitude: magnitude)
            rope.pairing = pairing
            let picked = indexer.select(block, normed, compressed: compressed, mask: mask, rope: rope)
            choice = picked
            return picked
        }
        let x = x + block.linear("attn_output", mixed, dimensions.embedding, bias: variant.bias)
        let fed = block.norm("ffn_norm", x, normalization)
        guard let experts, layer >= leadingDense else {
            return x + block.feedForward(fed, size: feedForward, .gated(.swiglu))
        }
        return x + block.mixture(fed, experts, variant.tensors)
            + block.feedForward(fed, size: experts.size * sharedExperts, .gated(.swiglu), suffix: "_shexp")
    }
}
