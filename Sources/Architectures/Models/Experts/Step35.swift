import ModelGraph

/// Step-3.5-Flash and Step-3.7-Flash: gated heads whose number differs between layers; windows in most, rotated whole
/// where the others are by half; each layer dense, or with experts chosen by a selection bias beside a shared one, as
/// its tensors say; SwiGLU clamped layer by layer. Sources: Step 3.5 Flash technical report (2026), section 2;
/// `Step3p7ForConditionalGeneration` of transformers, its text model.
public struct Step35: Architecture {
    public static let name = "step35"
    private static let factors = "rope_freqs.weight"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    /// Of layers without a window.
    let rotary: RotaryEmbedding
    let windows: WindowPattern
    let windowedRope: Rope
    let feedForward: Int
    let experts: Experts
    let sharedSize: Int
    /// Of each layer's experts, and of its other networks; 0: none.
    let expertLimits: [Double]
    let limits: [Double]

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, layers: [2, 1, 3, 4], predictionBlocks: true)
        traits = try Traits(decoder: &h, bidirectional: false, predictionBlocks: dimensions.predictionBlocks)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions, headMultiple: 4, perLayer: true, queriesPerLayer: true)
        let size = attention.keySize
        let rotated = try h.integer(
            "rope.dimension_count", 4...65536, fuzz: [size, size / 2, 4].filter { $0 > 0 && $0 % 4 == 0 },
            default: size,
            "rotated elements of each head in a layer with a window, twice those of the others")
        try h.require(
            rotated % 4 == 0 && rotated <= size, "rope.dimension_count", "attention.key_length",
            because: "\(rotated) rotated elements of heads of \(size): must be a multiple of 4 and no more than the "
                + "head")
        rotary = try RotaryEmbedding(&h, dimensions, rotated: rotated / 2, pairing: .neox)
        let window = try h.integer(
            "attention.sliding_window", 1...(1 << 30), fuzz: WindowPattern.lengths, "positions that a window holds")
        windows = try WindowPattern(listed: &h, dimensions, window: .sliding(window))
        windowedRope = try rotary.ownRopeOfWindows(
            &h, headSize: size, rotated: rotated, base: 10_000, magnitude: rotary.attentionFactor)
        feedForward = try h.feedForwardLength("hidden units of a dense block")
        var options = Experts.Options()
        options.gatings = [.sigmoid, .softmax, .softmaxOfSelected]
        options.defaultGating = .sigmoid
        options.declaresNormalization = true
        options.declaresScale = true
        options.groups = true
        experts = try Experts(&h, dimensions, options, feedForward: 0)
        sharedSize = try h.integer(
            "expert_shared_feed_forward_length", 1...(1 << 20), fuzz: Domains.feedForward,
            "hidden units of the expert that every token uses")
        let (valid, fuzz, layers) = (0.0...1e6, [0, 7, 0.5, 16], dimensions.blocks)
        expertLimits = try h.reals(
            "swiglu_clamp_exp", valid, fuzz: fuzz, layers: layers, default: Array(repeating: 0, count: layers),
            "bound of what experts' gates and inputs make; 0: none")
        limits = try h.reals(
            "swiglu_clamp_shexp", valid, fuzz: fuzz, layers: layers, default: Array(repeating: 0, count: layers),
            "the same of other feed-forward networks")
        try h.note("leading_dense_block_count", "the dense blocks, as their tensors say it")
        try h.note("moe_every_n_layers", "the blocks with experts, as their tensors say it")
    }

    public func build(_ g: GraphBuilder) {
        g.decoder(dimensions, normalization, tying: .rarely) { transform($0, $1, $2) }
    }

    /// One block: `[T, D] → [T, D]`.
    private func transform(_ block: Scope, _ layer: Int, _ x: Value) -> Value {
        let isWindowed = windows.isWindowed(layer)
        let normed = block.norm("attn_norm", x, normalization)
        var (q, k, v) = attention.project(block, layer, normed)
        if block.has("attn_q_norm.weight", presence: .most) {
            (q, k) = (block.norm("attn_q_norm", q, normalization), block.norm("attn_k_norm", k, normalization))
        }
        let (rope, factors) = isWindowed ? (windowedRope, nil) : (rotary.rope(), self.factors(block.g))
        var mixed = block.cachedAttention(
            q.rotated(rope, factors: factors), k.rotated(rope, factors: factors), v, scale: attention.scale,
            mask: windows.masks[layer],
            rotation: State.Rotation(rope: rope, factors: factors.map { _ in Self.factors }))
        if block.has("attn_gate.weight", presence: .most) {
            mixed = block.gated(mixed, normed, heads: attention.heads[layer], .perHead, .sigmoid)
        }
        let x = x + block.linear("attn_output", mixed, dimensions.embedding)
        let input = block.norm("ffn_norm", x, normalization)
        let activation = Self.activation(limits[layer])
        guard block.hasExperts else { return x + block.feedForward(input, size: feedForward, activation) }
        var tensors = Scope.ExpertTensors()
        tensors.activation = Self.activation(expertLimits[layer])
        tensors.selectionBias = .usual
        return x + block.mixture(input, experts, tensors)
            + block.feedForward(input, size: sharedSize, activation, suffix: "_shexp")
    }

    private static func activation(_ limit: Double) -> Activation {
        limit == 0 ? .gated(.swiglu) : .product(.silu, limit: limit)
    }

    /// The first of the model's frequency factors, which has as many as the layers with most rotated elements need.
    private func factors(_ g: GraphBuilder) -> Value? {
        let pairs = (0..<dimensions.layers).map {
            (windows.isWindowed($0) ? windowedRope : rotary.rope()).dimensions / 2
        }
        let (layer, own) = (g.layer, rotary.dimensions / 2)
        defer { g.layer = layer }
        let all = g.model.optionalWeight(Self.factors, [pairs.max() ?? own], .ropeFactor, presence: .few)
        return all.map { $0.shape.last == own ? $0 : $0.columns(0, own) }
    }
}
