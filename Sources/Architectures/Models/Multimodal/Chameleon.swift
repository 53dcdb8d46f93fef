import ModelGraph

/// Chameleon: queries and keys layer-normed, each head with a scale and a bias of its own; norms before each part or,
/// with `swin_norm` (34B), after it. Logits of image tokens, 4 to 8195, are the least number: it answers in text.
/// Epsilon of the norms of queries and keys: 1e-5, whatever the metadata say. Source: Chameleon (2024), section 2.3;
/// transformers, `ChameleonForConditionalGeneration`.
public struct Chameleon: Architecture {
    public static let name = "chameleon"
    public static let silentTokens = 4..<8196

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let feedForward: Int
    let normsAfter: Bool

    public init(_ h: inout some Hyperparameters) throws {
        let images = Self.silentTokens
        dimensions = try Dimensions(
            &h, embeddings: Domains.evenSizes.filter { $0 <= 64 },
            vocabularies: [images.upperBound + 4, images.upperBound + 1])
        try h.require(
            dimensions.vocabulary > images.upperBound, "vocab_size",
            because: "no token after those of images, \(images)")
        traits = try Traits(decoder: &h)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions, headSize: .splitEmbedding)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .normal, whole: true)
        feedForward = try h.feedForwardLength()
        normsAfter = try h.boolean("swin_norm", default: false, "whether norms are after each part")
    }

    public func build(_ g: GraphBuilder) {
        let rope = rotary.rope()
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            x = x + part(block, "attn_norm", x) { x in
                let (q, k, v) = attention.project(block, layer, x)
                let mixed = block.cachedAttention(
                    headNorm(block, "attn_q_norm", q), headNorm(block, "attn_k_norm", k), v, scale: attention.scale,
                    mask: traits.mask, rope: rope)
                return block.linear("attn_output", mixed, dimensions.embedding, bias: .rare)
            }
            x = x + part(block, "ffn_norm", x) { block.feedForward($0, size: feedForward, .gated(.swiglu)) }
        }
        g.logits(x, dimensions, normalization, adjusting: withoutImages)
    }

    /// A part of a block with its norm.
    private func part(_ block: Scope, _ norm: String, _ x: Value, _ compute: (Value) -> Value) -> Value {
        normsAfter
            ? block.norm(norm, compute(x), normalization) : compute(block.norm(norm, x, normalization))
    }

    /// `[T, H, D]`, each head with its own row of the parameters.
    private func headNorm(_ block: Scope, _ name: String, _ x: Value) -> Value {
        let shape: Shape = [x.shape[1], x.shape[2]]
        let scaled = x.norm(.layer, 1e-5) * block.weight("\(name).weight", shape, .scale)
        return block.bias(name, shape, .usual).map { scaled + $0 } ?? scaled
    }

    private func withoutImages(_ logits: Value) -> Value {
        let images = Self.silentTokens
        let least = Double(-Float.greatestFiniteMagnitude)
        let impossible = logits.builder.apply(.affine(scale: 0, bias: least), logits.columns(0, 1))
        return logits.columns(0, images.lowerBound).joined(
            impossible.broadcast([logits.shape[0], images.count]),
            logits.columns(images.upperBound, logits.shape[1] - images.upperBound))
    }
}
