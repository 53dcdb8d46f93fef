import ModelGraph

/// Talkie: norms without weights, also of rotated queries and keys; gains of heads, of each part's result and of the
/// embedding, which is added after each block.
/// Source: its authors' code, as mlx-lm has it.
public struct Talkie: Architecture {
    public static let name = "talkie"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let feedForward: Int
    let logitScale: Double

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h)
        traits = try Traits(decoder: &h)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox, whole: true)
        feedForward = try h.feedForwardLength()
        logitScale = try h.real("logit_scale", 0...1e6, fuzz: [1, 0.25, 2.5], "multiplies the logits")
    }

    public func build(_ g: GraphBuilder) {
        func norm(_ x: Value) -> Value { x.norm(.rms, normalization.epsilon) }
        let rope = rotary.rope()
        let embedded = norm(g.tokenEmbedding(dimensions))
        var x = embedded
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let (q, k, v) = attention.project(block, layer, norm(x))
            let gain = block.weight("attn_q_norm.weight", [attention.heads[layer], 1], .scale)
            let mixed = block.cachedAttention(
                norm(q.rotated(rope)) * gain, norm(k.rotated(rope)), v, scale: attention.scale, mask: traits.mask,
                rotation: g.rotation(rope))
            x = x + gained("attn_output", block, block.linear("attn_output", mixed, dimensions.embedding))
            x = x + gained("ffn_down", block, block.feedForward(norm(x), size: feedForward, .gated(.swiglu)))
            x = x + embedded * block.weight("layer_output_scale.weight", [1], .scale)
        }
        let rows = g.embeddings(x, norm)
        guard g.batch.pooledSequences == nil else { return }
        let output = g.model.weight("output.weight", [dimensions.vocabulary, dimensions.embedding], .projection)
        g.output(.logits, rows.matmul(output) * logitScale)
    }

    private func gained(_ name: String, _ block: Scope, _ x: Value) -> Value {
        block.optionalWeight("\(name).scale", [1], .scale, presence: .most).map { x * $0 } ?? x
    }
}
