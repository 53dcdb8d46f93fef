import ModelGraph

/// Gemma 2: windows in every other layer, norms before and after each part, softcapped scores and logits, GeGLU.
/// Source: Gemma 2 (2024), section 2.
public struct Gemma2: Architecture {
    public static let name = "gemma2"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding.Windowed
    let windows: WindowPattern
    let feedForward: Int
    let scoreCap: Double
    let logitCap: Double

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h)
        traits = try Traits(decoder: &h, bidirectional: false)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions)
        rotary = try RotaryEmbedding.Windowed(
            &h, RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox))
        let window = try h.integer(
            "attention.sliding_window", 1...(1 << 30), fuzz: WindowPattern.lengths, default: 4096,
            "positions that a window holds")
        windows = try WindowPattern(&h, dimensions, window: .sliding(window), period: 2)
        feedForward = try h.feedForwardLength()
        scoreCap = try h.real(
            "attn_logit_softcapping", 1e-3...1e6, fuzz: [50, 1, 5], default: 50, "bound of the attention scores")
        logitCap = try h.real(
            "final_logit_softcapping", 1e-3...1e6, fuzz: [30, 1, 5], default: 30, "bound of the logits")
    }

    /// The released model of 46 layers scales by its width over its heads, which no key says.
    private var scale: Double {
        let headSize = dimensions.layers == 46 ? dimensions.embedding / attention.heads[0] : attention.keySize
        return 1 / Double(headSize).squareRoot()
    }

    public func build(_ g: GraphBuilder) {
        var x = g.tokenEmbedding(dimensions) * Double(dimensions.embedding).squareRoot()
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let rope = rotary.rope(isWindowed: windows.isWindowed(layer))
            let (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization))
            let mixed = block.cachedAttention(
                q, k, v, scale: scale, mask: windows.masks[layer], rope: rope, softcap: scoreCap)
            x = x + block.norm(
                "post_attention_norm", block.linear("attn_output", mixed, dimensions.embedding, bias: .rare),
                normalization)
            let fed = block.feedForward(block.norm("ffn_norm", x, normalization), size: feedForward, .gated(.geglu))
            x = x + block.norm("post_ffw_norm", fed, normalization)
        }
        g.logits(x, dimensions, normalization, tying: .always, softcap: logitCap)
    }
}
