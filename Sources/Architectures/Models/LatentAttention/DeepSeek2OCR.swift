import ModelGraph

/// The language model of DeepSeek-OCR: DeepSeek-V2's experts with plain multi-head attention.
/// Source: `DeepseekOcr2TextModel` of transformers.
public struct DeepSeek2OCR: Architecture {
    public static let name = "deepseek2-ocr"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let leadingDense: Int
    let feedForward: Int
    let experts: Experts
    let shared: SharedExperts

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, embeddings: Domains.evenSizes)
        traits = try Traits(decoder: &h)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions, headSize: .splitEmbedding, grouping: .never)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox)
        var options = Experts.Options()
        options.gatings = [.softmax, .sigmoid, .softmaxOfSelected]
        options.defaultGating = .softmax
        options.declaresNormalization = true
        options.declaresScale = true
        options.groups = true
        options.normalizationEpsilon = 1e-20
        experts = try Experts(&h, dimensions, options, feedForward: 0)
        shared = try SharedExperts(&h, beside: experts, .count)
        leadingDense = try h.leadingDenseBlocks(dimensions)
        if leadingDense == 0 { try h.note("feed_forward_length", "no block is dense") }
        feedForward = leadingDense == 0 ? 0 : try h.feedForwardLength("hidden units of a dense block")
        // Files of Unlimited-OCR have one.
        try h.note("attention.sliding_window", "not used: every token sees all before it")
    }

    public func build(_ g: GraphBuilder) {
        var tensors = Scope.ExpertTensors()
        tensors.selectionBias = .optional
        tensors.mayScoreGroupsByBest = true
        tensors.mayFuseGateUp = true
        let rope = rotary.rope()
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization))
            let mixed = block.cachedAttention(q, k, v, scale: attention.scale, mask: traits.mask, rope: rope)
            x = x + block.linear("attn_output", mixed, dimensions.embedding)
            let fed = block.norm("ffn_norm", x, normalization)
            if layer < leadingDense {
                x = x + block.feedForward(fed, size: feedForward, .gated(.swiglu))
            } else {
                x = x + block.mixture(fed, experts, tensors)
                    + block.sharedExperts(fed, shared)
            }
        }
        g.logits(x, dimensions, normalization)
    }
}
