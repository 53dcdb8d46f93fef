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
    let networks: DenseThenExperts

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h)
        traits = try Traits(decoder: &h, bidirectional: false)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox)
        indexer = try BlockIndexer(&h, groups: attention.keyValueHeads[0], rotated: rotary.dimensions)
        var options = Experts.Options()
        options.gatings = [.sigmoid, .softmax, .softmaxOfSelected]
        options.declaresNormalization = true
        options.declaresScale = true
        networks = try DenseThenExperts(&h, dimensions, options, shared: .count)
    }

    public func build(_ g: GraphBuilder) {
        var tensors = Scope.ExpertTensors()
        tensors.activation = Self.activation
        tensors.selectionBias = .required
        let rope = rotary.rope()
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let isSparse = layer >= networks.leadingDense
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
                x = x + block.mixture(fed, networks.experts, tensors)
                    + block.sharedExperts(fed, networks.shared, Self.activation)
            } else {
                x = x + block.feedForward(fed, size: networks.feedForward, Self.activation)
            }
        }
        g.logits(x, dimensions, normalization, tying: .never)
    }
}
