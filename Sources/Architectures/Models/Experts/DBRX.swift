import ModelGraph

/// DBRX: layer norms without biases, queries, keys and values clamped, every feed-forward network a mixture of experts.
/// Sources: Databricks 2024 (DBRX); `DbrxForCausalLM` of transformers.
public struct DBRX: Architecture {
    public static let name = "dbrx"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    /// Bound of queries, keys and values; 0: none.
    let clamp: Double
    let rotary: RotaryEmbedding
    let experts: Experts

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, embeddings: Domains.evenSizes)
        traits = try Traits(decoder: &h)
        normalization = try Normalization(&h, .layer)
        attention = try GroupedQueryAttention(&h, dimensions, headSize: .splitEmbedding)
        clamp = try h.real(
            "attention.clamp_kqv", 0...1e6, fuzz: [8, 1, 0.25, 0], "bound of queries, keys and values; 0: none")
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox, whole: true)
        let size = try h.feedForwardLength("hidden units of an expert")
        var options = Experts.Options()
        options.declaresSize = false
        experts = try Experts(&h, dimensions, options, feedForward: size)
    }

    public func build(_ g: GraphBuilder) {
        let rope = rotary.rope()
        func clamped(_ x: Value) -> Value { clamp == 0 ? x : x.clamped(-clamp, clamp) }
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let (q, k, v) = attention.project(
                block, layer, block.norm("attn_norm", x, normalization), fused: .always, bias: .none)
            let mixed = block.cachedAttention(
                clamped(q), clamped(k), clamped(v), scale: attention.scale, mask: traits.mask, rope: rope)
            x = x + block.linear("attn_output", mixed, dimensions.embedding)
            x = x + block.mixture(block.norm("attn_output_norm", x, normalization), experts, .init())
        }
        g.logits(x, dimensions, normalization, tying: .never)
    }
}
