import ModelGraph

/// Command R7B and Command A: Command R, whose layers have windows with RoPE, or neither.
/// Source: its class in transformers (Cohere 2024).
public struct Cohere2: Architecture {
    public static let name = "cohere2"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let windows: WindowPattern
    let feedForward: Int
    let logitScale: Double

    public init(_ h: inout some Hyperparameters) throws {
        // To where the default pattern of windows begins anew.
        dimensions = try Dimensions(&h, embeddings: Domains.evenSizes, layers: [1, 2, 3, 4, 5])
        traits = try Traits(decoder: &h, bidirectional: false)
        normalization = try Normalization(&h, .layer)
        attention = try GroupedQueryAttention(&h, dimensions, headSize: .splitEmbedding)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .normal)
        let window = try h.integer(
            "attention.sliding_window", 1...(1 << 30), fuzz: WindowPattern.lengths, "positions that a window holds")
        windows = try WindowPattern(&h, dimensions, window: .sliding(window), period: 4)
        feedForward = try h.feedForwardLength()
        logitScale = try h.real("logit_scale", 1e-6...1e6, fuzz: [0.0625, 1, 2.5], "multiplies the logits")
    }

    public func build(_ g: GraphBuilder) {
        let rope = rotary.rope()
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let normed = block.norm("attn_norm", x, normalization)
            let (q, k, v) = attention.project(block, layer, normed)
            let mixed = block.cachedAttention(
                q, k, v, scale: attention.scale, mask: windows.masks[layer],
                rope: windows.isWindowed(layer) ? rope : nil)
            x = x + block.linear("attn_output", mixed, dimensions.embedding, bias: .rare)
                + block.feedForward(normed, size: feedForward, .gated(.swiglu))
        }
        g.logits(x, dimensions, normalization, tying: .always, scale: logitScale)
    }
}
