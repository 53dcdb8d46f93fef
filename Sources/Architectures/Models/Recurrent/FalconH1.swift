import ModelGraph

/// Falcon-H1: each block has Mamba-2 and grouped-query attention side by side, then SwiGLU.
///
/// Files have the authors' multipliers (µP) in the weights.
/// Sources: Zuo et al. 2025, section 2; `FalconH1ForCausalLM` of transformers, which the authors wrote.
public struct FalconH1: Architecture {
    public static let name = "falcon-h1"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let stateSpace: StateSpaceDuality
    let feedForward: Int

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h)
        traits = try Traits(decoder: &h, bidirectional: false)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox)
        stateSpace = try StateSpaceDuality(&h)
        feedForward = try h.feedForwardLength()
    }

    public func build(_ g: GraphBuilder) {
        let rope = rotary.rope()
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let normed = block.norm("attn_norm", x, normalization)
            let (q, k, v) = attention.project(block, layer, normed, bias: .rare)
            let looked = block.cachedAttention(q, k, v, scale: attention.scale, rope: rope)
            let mixed = block.linear("attn_output", looked, dimensions.embedding, bias: .rare)
            x = x + mixed + stateSpace.mix(block, normed, normalization, mayLackNorm: true)
            x = x + block.feedForward(
                block.norm("ffn_norm", x, normalization, suffix: ""), size: feedForward, .gated(.swiglu), bias: .rare)
        }
        g.logits(x, dimensions, normalization)
    }
}
