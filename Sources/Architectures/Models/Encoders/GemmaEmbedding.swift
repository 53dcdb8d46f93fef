import ModelGraph

/// EmbeddingGemma: Gemma 3 as an encoder, with windows that reach as far either way, and two linear maps of the pooled
/// embedding.
/// Sources: Vera et al. 2025, section 2; `Gemma3TextModel` of transformers with `use_bidirectional_attention`.
public struct GemmaEmbedding: Architecture {
    public static let name = "gemma-embedding"

    public let dimensions: Dimensions
    public var traits: Traits { text.traits }
    let text: TextEncoder
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let windows: WindowPattern
    let windowedBase: Double
    let feedForward: Int
    /// Width between the two maps of the pooled embedding; nil: it has none.
    let projection: Int?

    public init(_ h: inout some Hyperparameters) throws {
        // To where the default pattern of windows begins anew.
        dimensions = try Dimensions(&h, layers: [2, 3, 4, 7, 1])
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox)
        let window = try h.integer(
            "attention.sliding_window", 0...(1 << 30), fuzz: WindowPattern.lengths,
            "positions that a window holds, half of them to each side")
        windows = try WindowPattern(ofEncoder: &h, dimensions, length: window, period: 6)
        windowedBase = try h.real(
            "rope.freq_base_swa", 1...1e12, fuzz: [10_000, 100, 1_000_000], default: 10_000,
            "base of the rotation frequencies of layers with a window")
        feedForward = try h.feedForwardLength()
        text = try TextEncoder(&h, classifies: false)
        projection = try Self.projection(&h, dimensions.embedding)
    }

    private static func projection(_ h: inout some Hyperparameters, _ width: Int) throws -> Int? {
        guard let inner = try h.optionalInteger(
            "dense_2_feat_out", 1...(1 << 20), fuzz: [64, 32, 33, 16],
            "width between the two maps of the pooled embedding")
        else { return nil }
        let same = "the model's width"
        let first = try h.integer("dense_2_feat_in", 1...(1 << 20), fuzz: [width], same)
        let second = try h.integer(
            "dense_3_feat_in", 1...(1 << 20), fuzz: [inner], "the width between the two maps again")
        let out = try h.integer("dense_3_feat_out", 1...(1 << 20), fuzz: [width], same)
        try h.require(
            first == width && out == width && second == inner, "dense_2_feat_in", "dense_3_feat_in", "dense_3_feat_out",
            because: "maps from \(first) and \(second) to \(out) elements do not fit a width of \(width) "
                + "and \(inner) between")
        return inner
    }

    public func build(_ g: GraphBuilder) {
        let width = dimensions.embedding
        // What stretches the context does not concern a window, but for the magnitude.
        let windowed = Rope(
            pairing: .neox, dimensions: rotary.dimensions, base: windowedBase, magnitude: rotary.attentionFactor)
        var x = g.tokenEmbedding(dimensions) * Double(width).squareRoot()
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let rope = windows.isWindowed(layer) ? windowed : rotary.rope()
            let (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization), bias: .rare)
            let mixed = block.batchAttention(
                block.norm("attn_q_norm", q, normalization).rotated(rope),
                block.norm("attn_k_norm", k, normalization).rotated(rope), v, scale: attention.scale,
                mask: windows.masks[layer])
            x = x + block.norm("post_attention_norm", block.linear("attn_output", mixed, width), normalization)
            let fed = block.feedForward(block.norm("ffn_norm", x, normalization), size: feedForward, .gated(.geglu))
            x = x + block.norm("post_ffw_norm", fed, normalization)
        }
        g.embeddings(x, head: { pooled in
            guard let projection else { return pooled }
            return g.model.linear("dense_3", g.model.linear("dense_2", pooled, projection), width)
        }) { g.model.norm("output_norm", $0, normalization) }
    }
}
