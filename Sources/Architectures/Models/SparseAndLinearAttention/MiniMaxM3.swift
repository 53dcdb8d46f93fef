import ModelGraph

/// MiniMax-M3: leading dense layers, then experts beside shared ones and attention to the best blocks of positions.
/// Source: `MiniMaxM3VLForConditionalGeneration`, the code of its authors in transformers.
public struct MiniMaxM3: Architecture {
    public static let name = "minimax-m3"
    /// `swiglu_alpha` and `swiglu_limit`, which no key says.
    static let activation = Activation.gated(.clampedSwiGLU(alpha: 1.702, limit: 7))

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let indexer: BlockIndexer
    /// Layers without experts and without an indexer.
    let leadingDense: Int
    let feedForward: Int
    let experts: Experts
    let sharedExperts: Int

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h)
        traits = try Traits(decoder: &h, bidirectional: false)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox)
        indexer = try BlockIndexer(&h, groups: attention.keyValueHeads[0], rotated: rotary.dimensions)
        leadingDense = try h.integer(
            "leading_dense_block_count", 0...512, fuzz: Array(0...dimensions.layers), default: 0, "dense blocks before those with experts")
        if leadingDense == 0 { try h.note("feed_forward_length", "no block is dense") }
        feedForward = leadingDense == 0 ? 0 : try h.feedForwardLength("hidden units of a dense block")
        var options = Experts.Options()
        options.gatings = [.sigmoid, .softmax, .softmaxOfSelected]
        options.declaresNormalization = true
        options.declaresScale = true
        experts = try Experts(&h, dimensions, options, feedForward: feedForward)
        sharedExperts = try h.integer("expert_shared_count", 1...4096, fuzz: [1, 2, 3], "experts that every token uses")
    }

    public func build(_ g: GraphBuilder) {
        var tensors = Scope.ExpertTensors()
        tensors.activation = Self.activation
        tensors.selectionBias = .required
        let rope = rotary.rope()
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let isSparse = layer >= leadingDense
            let normed = block.norm("attn_norm", x, normalization)
            let (q, k, v) = attention.project(block, layer, normed)
            let bias = isSparse
                ? indexer.select(block, normed, queryHeads: attention.heads[layer], rope: rope, normalization) : nil
            let mixed = block.cachedAttention(
                block.norm("attn_q_norm", q, normalization), block.norm("attn_k_norm", k, normalization), v,
                scale: attention.scale, rope: rope, bias: bias)
            x = x + block.linear("attn_output", mixed, dimensions.embedding)
            let fed = block.norm("ffn_norm", x, normalization)
            if isSparse {
                x = x + block.mixture(fed, experts, tensors)
                    + block.feedForward(fed, size: experts.size * sharedExperts, Self.activation, suffix: "_shexp")
            } else {
                x = x + block.feedForward(fed, size: feedForward, Self.activation)
            }
        }
        g.logits(x, dimensions, normalization, tying: .never)
    }
}
