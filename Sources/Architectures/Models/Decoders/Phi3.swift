import ModelGraph

/// Phi-3 and Phi-4: Llama with gate and up in one matrix, LongRoPE, and a window of the latest positions in every
/// layer. Sources: Phi-3 technical report (2024), section 2; `Phi3ForCausalLM` of transformers.
public struct Phi3: Architecture {
    public static let name = "phi3"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let window: Mask.Window
    let feedForward: Int

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, embeddings: Domains.evenSizes)
        traits = try Traits(decoder: &h, bidirectional: false)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions, headSize: .splitEmbedding)
        rotary = try RotaryEmbedding(
            &h, dimensions, headSize: attention.keySize, pairing: .neox, scalings: [.longrope])
        let size = try h.integer(
            "attention.sliding_window", 0...(1 << 30), fuzz: [0] + WindowPattern.lengths, default: 0, isRare: true,
            "positions that a window holds; 0: no windows")
        window = size == 0 ? .unlimited : .sliding(size)
        feedForward = try h.feedForwardLength()
    }

    public func build(_ g: GraphBuilder) {
        let factors = rotary.factors(g)
        let rope = rotary.rope()
        g.decoder(dimensions, normalization) { block, layer, x in
            let (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization))
            let mixed = block.cachedAttention(
                q, k, v, scale: attention.scale, mask: Mask(causal: true, window: window), rope: rope, factors: factors)
            let attended = x + block.linear("attn_output", mixed, dimensions.embedding)
            return attended + block.fusedFeedForward(
                block.norm("ffn_norm", attended, normalization), size: feedForward, .gated(.swiglu))
        }
    }
}
