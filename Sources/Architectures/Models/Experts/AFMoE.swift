import ModelGraph

/// Arcee's Trinity: scaled embeddings, gated attention, norms before and after each part; windows with positions, and
/// without both every few layers; leading dense layers, then experts chosen by a selection bias beside shared ones.
///
/// That the embeddings are scaled (`mup_enabled`), as those of all released models are, no key says.
/// Sources: Trinity technical report (2025), section 2; `AfmoeForCausalLM` of transformers.
public struct AFMoE: Architecture {
    public static let name = "afmoe"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding.Windowed
    let windows: WindowPattern
    let leadingDense: Int
    let feedForward: Int
    let experts: Experts
    let sharedExperts: Int

    public init(_ h: inout some Hyperparameters) throws {
        // To where the default pattern of windows begins anew.
        dimensions = try Dimensions(&h, layers: [1, 2, 3, 4, 5])
        traits = try Traits(decoder: &h, bidirectional: false)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions)
        rotary = try RotaryEmbedding.Windowed(
            &h, RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox))
        let window = try h.integer(
            "attention.sliding_window", 1...(1 << 30), fuzz: WindowPattern.lengths, "positions that a window holds")
        windows = try WindowPattern(&h, dimensions, window: .sliding(window), period: 4)
        leadingDense = try h.leadingDenseBlocks(dimensions)
        feedForward = try h.feedForwardLength("hidden units of a dense block")
        var options = Experts.Options.deepSeek3
        options.defaultGating = .sigmoid
        experts = try Experts(&h, dimensions, options, feedForward: 0)
        sharedExperts = try h.integer(
            "expert_shared_count", 0...4096, fuzz: [1, 0, 2, 3], "experts that every token uses")
    }

    public func build(_ g: GraphBuilder) {
        var tensors = Scope.ExpertTensors()
        tensors.selectionBias = .required
        var x = g.tokenEmbedding(dimensions) * Double(dimensions.embedding).squareRoot()
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let normed = block.norm("attn_norm", x, normalization)
            let (q, k, v) = attention.project(block, layer, normed)
            let mixed = block.gated(
                block.cachedAttention(
                    block.norm("attn_q_norm", q, normalization), block.norm("attn_k_norm", k, normalization), v,
                    scale: attention.scale, mask: windows.masks[layer],
                    rope: windows.isWindowed(layer) ? rotary.rope(isWindowed: true) : nil),
                normed, heads: attention.heads[layer], .perElement, .sigmoid)
            x = x + block.norm(
                "post_attention_norm", block.linear("attn_output", mixed, dimensions.embedding, bias: .rare),
                normalization)
            let input = block.norm("ffn_norm", x, normalization)
            x = x + block.norm("post_ffw_norm", feed(block, layer, input, tensors), normalization)
        }
        g.logits(x, dimensions, normalization)
    }

    private func feed(_ block: Scope, _ layer: Int, _ x: Value, _ tensors: Scope.ExpertTensors) -> Value {
        guard layer >= leadingDense else { return block.feedForward(x, size: feedForward, .gated(.swiglu)) }
        let mixed = block.mixture(x, experts, tensors)
        guard sharedExperts > 0 else { return mixed }
        return mixed + block.feedForward(x, size: experts.size * sharedExperts, .gated(.swiglu), suffix: "_shexp")
    }
}
