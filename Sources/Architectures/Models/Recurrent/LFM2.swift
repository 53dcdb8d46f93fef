import ModelGraph

/// LFM2: gated short convolutions, with some layers of grouped-query attention, and SwiGLU; as an encoder with
/// convolutions that are centred (LFM2.5-Embedding and -ColBERT).
/// Source: Liquid AI 2025, sections 2 and 3.
public struct LFM2: Architecture {
    public static let name = "lfm2"
    let decoder: ShortConvolutionDecoder
    public var dimensions: Dimensions { decoder.dimensions }
    public var traits: Traits { decoder.traits }

    public init(_ h: inout some Hyperparameters) throws { decoder = try ShortConvolutionDecoder(&h, hasExperts: false) }
    public func build(_ g: GraphBuilder) { decoder.build(g) }
}

/// LFM2 with experts after the leading dense layers.
public struct LFM2MoE: Architecture {
    public static let name = "lfm2moe"
    let decoder: ShortConvolutionDecoder
    public var dimensions: Dimensions { decoder.dimensions }
    public var traits: Traits { decoder.traits }

    public init(_ h: inout some Hyperparameters) throws { decoder = try ShortConvolutionDecoder(&h, hasExperts: true) }
    public func build(_ g: GraphBuilder) { decoder.build(g) }
}

/// What LFM2's dense and sparse models share.
struct ShortConvolutionDecoder: Sendable {
    let dimensions: Dimensions
    let traits: Traits
    /// Width of an embedding that the model gives in place of logits; nil: it gives logits, or rows of the model's
    /// width.
    let embeddingOut: Int?
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let taps: Int
    let window: Mask.Window
    let feedForward: Int
    let leadingDense: Int
    let experts: Experts?

    init(_ h: inout some Hyperparameters, hasExperts: Bool) throws {
        dimensions = try Dimensions(
            &h, embeddings: Domains.sizes.filter { $0 % 2 == 0 }, layers: LayerLayouts.hybridDepths)
        traits = try Traits(decoder: &h, bidirectional: !hasExperts)
        embeddingOut = try h.optionalInteger(
            "embedding_length_out", 1...(1 << 20), fuzz: [16, 32, 8, 33], isRare: true,
            "width of the embeddings that the model gives")
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions, headSize: .splitEmbedding, otherLayers: true)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox)
        let isCausal = !traits.isBidirectional
        taps = try h.integer(
            "shortconv.l_cache", 2...64, fuzz: Domains.taps.filter { isCausal || $0 % 2 == 1 },
            "taps of the convolution")
        try h.require(
            isCausal || taps % 2 == 1, "shortconv.l_cache", "attention.causal",
            because: "\(taps) taps have no centre")
        feedForward = try h.feedForwardLength("hidden units of a dense feed-forward network")
        if hasExperts {
            window = .unlimited
            leadingDense = try h.integer(
                "leading_dense_block_count", 0...512, fuzz: Array(0...dimensions.layers), default: 0,
                "dense blocks before those with experts")
            var options = Experts.Options()
            options.gatings = [.softmax, .sigmoid, .softmaxOfSelected]
            options.groups = true
            options.normalizationEpsilon = 1e-6
            experts = try Experts(&h, dimensions, options, feedForward: feedForward)
        } else {
            let size = try h.integer(
                "attention.sliding_window", 0...(1 << 30), fuzz: isCausal ? [0, 1, 2, 3, 8, 64, 512] : [0], default: 0,
                "tokens that attention looks back; 0: all")
            try h.require(
                isCausal || size == 0, "attention.sliding_window", "attention.causal",
                because: "a window of \(size) tokens that see later ones")
            window = size == 0 ? .unlimited : .sliding(size)
            leadingDense = dimensions.layers
            experts = nil
        }
    }

    func build(_ g: GraphBuilder) {
        let rope = rotary.rope()
        var tensors = Scope.ExpertTensors()
        tensors.selectionBias = .usual
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let normed = block.norm("attn_norm", x, normalization)
            x = x + (attention.keyValueHeads[layer] == 0
                ? block.gatedShortConvolution(normed, taps: taps, isCausal: !traits.isBidirectional)
                : attend(block, layer, normed, rope))
            let mixed = block.norm("ffn_norm", x, normalization)
            if layer >= leadingDense, let experts {
                x = x + block.mixture(mixed, experts, tensors)
            } else {
                x = x + block.feedForward(mixed, size: feedForward, .gated(.swiglu))
            }
        }
        g.logits(x, dimensions, normalization, name: "token_embd_norm", head: embedder(g))
    }

    /// `[…, D] → […, D']`: the last map of a model for retrieval, pooled or token by token (LFM2-ColBERT).
    private func embedder(_ g: GraphBuilder) -> ((Value) -> Value)? {
        guard let embeddingOut else { return nil }
        let matrix = g.model.weight("dense_2.weight", [embeddingOut, dimensions.embedding], .projection)
        let bias = g.model.bias("dense_2", [embeddingOut], .optional)
        return { x in bias.map { x.matmul(matrix) + $0 } ?? x.matmul(matrix) }
    }

    private func attend(_ block: Scope, _ layer: Int, _ x: Value, _ rope: Rope) -> Value {
        let (q, k, v) = attention.project(block, layer, x)
        let mixed = block.cachedAttention(
            block.norm("attn_q_norm", q, normalization), block.norm("attn_k_norm", k, normalization), v,
            scale: attention.scale, mask: Mask(causal: !traits.isBidirectional, window: window), rope: rope)
        return block.linear("attn_output", mixed, dimensions.embedding)
    }
}
