import ModelGraph

/// Poolside's Laguna: heads whose number differs between layers, gated by a softplus, each or element by element;
/// windows in three of four layers, with a rotation of their own; leading dense layers, then experts chosen by a
/// selection bias beside a shared one. Source: `LagunaForCausalLM` of transformers (2026).
public struct Laguna: Architecture {
    public static let name = "laguna"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let windows: WindowPattern
    /// Of layers with a window.
    let windowedRope: Rope
    let leadingDense: Int
    let feedForward: Int
    let experts: Experts
    let sharedSize: Int

    public init(_ h: inout some Hyperparameters) throws {
        // To where the default pattern of windows begins anew.
        dimensions = try Dimensions(&h, layers: [1, 2, 3, 4, 5])
        traits = try Traits(decoder: &h, bidirectional: false)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions, perLayer: true, queriesPerLayer: true)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox)
        let window = try h.integer(
            "attention.sliding_window", 0...(1 << 30), fuzz: [0] + WindowPattern.lengths, default: 0,
            "positions that a window holds; 0: no windows")
        if window > 0 {
            windows = try WindowPattern(&h, dimensions, window: .sliding(window), period: 4, startsUnlimited: true)
            windowedRope = try rotary.ownRopeOfWindows(&h, headSize: attention.keySize)
        } else {
            windows = WindowPattern(unlimited: dimensions)
            windowedRope = rotary.rope()
        }
        leadingDense = try h.leadingDenseBlocks(dimensions, isRequired: true)
        feedForward = try h.feedForwardLength("hidden units of a dense block")
        var options = Experts.Options()
        options.gatings = [.sigmoid, .softmax, .softmaxOfSelected]
        options.defaultGating = .sigmoid
        options.declaresNormalization = true
        options.declaresScale = true
        options.groups = true
        experts = try Experts(&h, dimensions, options, feedForward: 0)
        let count = try h.integer(
            "expert_shared_count", 1...4096, fuzz: [1, 2, 3], default: 1, "experts that every token uses")
        sharedSize = try h.integer(
            "expert_shared_feed_forward_length", 1...(1 << 20), fuzz: Domains.feedForward,
            default: experts.size * count,
            "hidden units of these experts together")
    }

    public func build(_ g: GraphBuilder) {
        var tensors = Scope.ExpertTensors()
        tensors.selectionBias = .required
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let normed = block.norm("attn_norm", x, normalization)
            let heads = attention.heads[layer]
            let isPerElement = attention.keySize > 1 && block.has("attn_gate.weight", rows: heads * attention.keySize)
            let (q, k, v) = attention.project(block, layer, normed)
            let mixed = block.gated(
                block.cachedAttention(
                    block.norm("attn_q_norm", q, normalization), block.norm("attn_k_norm", k, normalization), v,
                    scale: attention.scale, mask: windows.masks[layer],
                    rope: windows.isWindowed(layer) ? windowedRope : rotary.rope()),
                normed, heads: heads, isPerElement ? .perElement : .perHead, .softplus)
            x = x + block.linear("attn_output", mixed, dimensions.embedding, bias: .rare)
            let input = block.norm("ffn_norm", x, normalization)
            if layer >= leadingDense {
                x = x + block.mixture(input, experts, tensors)
                    + block.feedForward(input, size: sharedSize, .gated(.swiglu), suffix: "_shexp")
            } else {
                x = x + block.feedForward(input, size: feedForward, .gated(.swiglu))
            }
        }
        g.logits(x, dimensions, normalization)
    }
}
