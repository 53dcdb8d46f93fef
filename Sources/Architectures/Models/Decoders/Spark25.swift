import ModelGraph

/// Spark X2.5: windows in some layers, which are rotated otherwise; a gate for each head's result; GELU.
/// Source: its authors' `modeling_spark2_5.py`, whose GELU is exact.
public struct Spark25: Architecture {
    public static let name = "spark2_5"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding.Windowed
    /// Rotated elements of each head in layers with a window.
    let windowedDimensions: Int
    let masks: [Mask]
    let feedForward: Int

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h)
        traits = try Traits(decoder: &h, bidirectional: false)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions, perLayer: true)
        rotary = try RotaryEmbedding.Windowed(
            &h, RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox))
        let (whole, size) = (rotary.rotary.dimensions, attention.keySize)
        windowedDimensions = try h.integer(
            "rope.dimension_count_swa", 2...65536, fuzz: [whole, size, 2], default: whole,
            "rotated elements of each head in layers with a window")
        try h.require(
            windowedDimensions % 2 == 0 && windowedDimensions <= size, "rope.dimension_count_swa",
            "attention.key_length",
            because: "\(windowedDimensions) rotated elements of heads of \(size): must be even and no more than the "
                + "head")
        masks = try WindowPattern.flagged(&h, dimensions)
        feedForward = try h.feedForwardLength()
    }

    public func build(_ g: GraphBuilder) {
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let isWindowed = masks[layer].window != .unlimited
            var rope = rotary.rope(isWindowed: isWindowed)
            if isWindowed { rope.dimensions = windowedDimensions }
            let normed = block.norm("attn_norm", x, normalization)
            let (q, k, v) = attention.project(block, layer, normed)
            let mixed = block.cachedAttention(q, k, v, scale: attention.scale, mask: masks[layer], rope: rope)
            let gate = block.linear("attn_gate", normed, attention.heads[layer])(.sigmoid)
            let perHead: Shape = [x.shape[0], attention.heads[layer], attention.valueSize]
            let gated = mixed.reshaped(perHead) * gate.reshaped([x.shape[0], attention.heads[layer], 1])
            x = x + block.linear("attn_output", gated.reshaped(mixed.shape), dimensions.embedding)
            let fed = block.norm("ffn_norm", x, normalization)
            let hidden = block.linear("ffn_gate", fed, feedForward)(.geluErf) * block.linear("ffn_up", fed, feedForward)
            x = x + block.linear("ffn_down", hidden, dimensions.embedding)
        }
        g.logits(x, dimensions, normalization)
    }
}
