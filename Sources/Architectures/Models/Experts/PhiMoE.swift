import ModelGraph

/// Phi-3.5-MoE: layer norms and biases throughout, two experts a token that a sparse mixer weighs.
///
/// How near to the best one others must be is hard-coded as in the released models' configuration. The epsilon of
/// the norms has the key of RMS norms.
/// Sources: Abdin et al. 2024 (Phi-3), section 5; Liu et al. 2024 (GRIN); `PhimoeForCausalLM` of transformers.
public struct PhiMoE: Architecture {
    public static let name = "phimoe"
    /// `router_jitter_noise`
    static let jitter = 0.01

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let mask: Mask
    let experts: Experts

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, embeddings: Domains.evenSizes)
        traits = try Traits(decoder: &h, bidirectional: false)
        let epsilon = try h.real(
            "attention.layer_norm_rms_epsilon", 0...1, fuzz: Domains.epsilons, "added to the variance by each norm")
        normalization = Normalization(.layer, epsilon: epsilon, bias: .required)
        attention = try GroupedQueryAttention(&h, dimensions, headSize: .splitEmbedding)
        rotary = try RotaryEmbedding(
            &h, dimensions, headSize: attention.keySize, pairing: .neox, whole: true, scalings: [.longrope])
        let window = try h.integer(
            "attention.sliding_window", 0...(1 << 30), fuzz: [0] + WindowPattern.lengths, default: 0, isRare: true,
            "positions that each layer's window holds; 0: all")
        mask = Mask(causal: true, window: window == 0 ? .unlimited : .sliding(window))
        let size = try h.feedForwardLength("hidden units of an expert")
        var options = Experts.Options()
        options.declaresSize = false
        options.used = 2
        experts = try Experts(&h, dimensions, options, feedForward: size)
    }

    public func build(_ g: GraphBuilder) {
        let factors = rotary.factors(g)
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization), bias: .usual)
            let mixed = block.cachedAttention(
                q, k, v, scale: attention.scale, mask: mask, rope: rotary.rope(), factors: factors)
            x = x + block.linear("attn_output", mixed, dimensions.embedding, bias: .required)
            x = x + block.sparselyMixed(block.norm("ffn_norm", x, normalization), experts, jitter: Self.jitter)
        }
        g.logits(x, dimensions, normalization, tying: .never, bias: .required)
    }
}
