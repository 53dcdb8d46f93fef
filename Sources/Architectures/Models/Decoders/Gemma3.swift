import ModelGraph

/// Gemma 3: Gemma 2 with normed queries and keys, more windows, and softcaps only where the metadata says so.
/// Source: Gemma 3 technical report (2025), section 2.
public struct Gemma3: Architecture {
    public static let name = "gemma3"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let windows: WindowPattern
    let windowedBase: Double
    let feedForward: Int
    let logitCap: Double

    public init(_ h: inout some Hyperparameters) throws {
        // To where the default pattern of windows begins anew.
        dimensions = try Dimensions(&h, layers: [1, 2, 3, 4, 7])
        traits = try Traits(decoder: &h, bidirectional: false)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox)
        windows = try WindowPattern.optional(&h, dimensions, period: 6)
        windowedBase = try h.real(
            "rope.freq_base_swa", 1...1e12, fuzz: [10_000, 100, 1_000_000], default: 10_000,
            "base of the rotation frequencies of layers with a window")
        feedForward = try h.feedForwardLength()
        logitCap = try h.real(
            "final_logit_softcapping", 0...1e6, fuzz: [30, 1, 0], default: 0, "bound of the logits; 0: none")
    }

    /// The released model of 62 layers scales by its width over its heads, which no key says.
    private var scale: Double {
        let headSize = dimensions.layers == 62 ? dimensions.embedding / attention.heads[0] : attention.keySize
        return 1 / Double(headSize).squareRoot()
    }

    public func build(_ g: GraphBuilder) {
        // What stretches the context does not concern a window, but for the magnitude.
        let windowed = Rope(
            pairing: .neox, dimensions: rotary.dimensions, base: windowedBase, magnitude: rotary.attentionFactor)
        var x = g.tokenEmbedding(dimensions) * Double(dimensions.embedding).squareRoot()
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let rope = windows.isWindowed(layer) ? windowed : rotary.rope()
            let (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization))
            let mixed = block.cachedAttention(
                block.norm("attn_q_norm", q, normalization), block.norm("attn_k_norm", k, normalization), v,
                scale: scale, mask: windows.masks[layer], rope: rope)
            x = x + block.norm(
                "post_attention_norm", block.linear("attn_output", mixed, dimensions.embedding, bias: .rare),
                normalization)
            let fed = block.feedForward(block.norm("ffn_norm", x, normalization), size: feedForward, .gated(.geglu))
            x = x + block.norm("post_ffw_norm", fed, normalization)
        }
        g.logits(x, dimensions, normalization, softcap: logitCap == 0 ? nil : logitCap)
    }
}
