import ModelGraph

/// Muse Glimmer, its text model: normed embeddings, norms before and after each part, gated attention, and rotation
/// only in layers with a window; logits are scaled and capped. Source: `MuseGlimmerForConditionalGeneration` of
/// transformers, by its authors.
public struct MuseGlimmer: Architecture {
    public static let name = "muse-glimmer"
    /// Of the norms after each part, whatever the others have: no key says it.
    static let outputNormalization = Normalization(.rms, epsilon: 1e-8)

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding.Windowed
    let windows: WindowPattern
    let feedForward: Int
    let logitScale: Double
    let logitCap: Double

    public init(_ h: inout some Hyperparameters) throws {
        // To where the default pattern of windows begins anew.
        dimensions = try Dimensions(&h, layers: [1, 2, 3, 4, 5])
        traits = try Traits(decoder: &h, bidirectional: false)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions)
        rotary = try RotaryEmbedding.Windowed(
            &h, RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .normal))
        let window = try h.integer(
            "attention.sliding_window", 1...(1 << 30), fuzz: WindowPattern.lengths, "positions that a window holds")
        windows = try WindowPattern(&h, dimensions, window: .sliding(window), period: 4)
        feedForward = try h.feedForwardLength()
        logitScale = try h.real("logit_scale", 0...1e6, fuzz: [1, 0.25, 2.5], "multiplies the logits")
        logitCap = try h.real("final_logit_softcapping", 1e-3...1e6, fuzz: [20, 1, 5], "bound of the logits")
    }

    public func build(_ g: GraphBuilder) {
        var x = g.tokenEmbedding(dimensions).norm(.rms, normalization.epsilon)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let normed = block.norm("attn_norm", x, normalization)
            let (q, k, v) = attention.project(block, layer, normed)
            let mixed = block.cachedAttention(
                block.norm("attn_q_norm", q, normalization), block.norm("attn_k_norm", k, normalization), v,
                scale: attention.scale, mask: windows.masks[layer],
                rope: windows.isWindowed(layer) ? rotary.rope(isWindowed: true) : nil)
            let gate = block.linear("attn_gate", normed, mixed.shape.last)(.sigmoid)
            x = x + block.norm(
                "post_attention_norm", block.linear("attn_output", mixed * gate, dimensions.embedding),
                Self.outputNormalization)
            let fed = block.feedForward(block.norm("ffn_norm", x, normalization), size: feedForward, .gated(.swiglu))
            x = x + block.norm("post_ffw_norm", fed, Self.outputNormalization)
        }
        g.logits(x, dimensions, normalization, tying: .never, scale: logitScale, softcap: logitCap)
    }
}
