import ModelGraph

/// LLaDA-MoE: a diffusion model, all of whose tokens see each other; normed queries and keys, every feed-forward
/// network a mixture of experts whose weights are not normalised. Sources: LLaDA-MoE technical report (2025), section
/// 2; the authors' `modeling_lladamoe.py`.
public struct LLaDAMoE: Architecture {
    public static let name = "llada-moe"
    let model: DiffusionOfExperts
    public var dimensions: Dimensions { model.dimensions }
    public var traits: Traits { model.traits }

    public init(_ h: inout some Hyperparameters) throws {
        model = try DiffusionOfExperts(
            &h, headSize: .splitEmbedding, normalizesWeights: false, tying: .rarely, bias: .none)
    }
    public func build(_ g: GraphBuilder) { model.build(g) }
}

/// RND1: Qwen3 with experts, made a diffusion model: all tokens see each other.
/// Sources: RND1 report (Radical Numerics 2025); the authors' `modeling_rnd.py`.
public struct RND1: Architecture {
    public static let name = "rnd1"
    let model: DiffusionOfExperts
    public var dimensions: Dimensions { model.dimensions }
    public var traits: Traits { model.traits }

    public init(_ h: inout some Hyperparameters) throws {
        model = try DiffusionOfExperts(
            &h, headSize: .declaredAlike, normalizesWeights: true, tying: .optional, bias: .rare)
    }
    public func build(_ g: GraphBuilder) { model.build(g) }
}

/// What diffusion models with experts share.
struct DiffusionOfExperts: Sendable {
    let dimensions: Dimensions
    let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let experts: Experts
    let tying: GraphBuilder.Tying
    /// Of attention's output matrix.
    let bias: Scope.Bias

    init(
        _ h: inout some Hyperparameters, headSize: GroupedQueryAttention.HeadSize, normalizesWeights: Bool,
        tying: GraphBuilder.Tying, bias: Scope.Bias
    ) throws {
        dimensions = try Dimensions(&h, embeddings: headSize == .splitEmbedding ? Domains.evenSizes : Domains.sizes)
        _ = try h.boolean("attention.causal", among: [false], default: false, "whether tokens see no later ones")
        traits = Traits(
            isBidirectional: true,
            pooling: try h.option(
                "pooling_type", among: Pooling.ofTexts, default: .none, isRare: true,
                "how the embeddings of a sequence become one"))
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions, headSize: headSize)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox, whole: true)
        let feedForward = try h.integer(
            "feed_forward_length", 0...(1 << 20), fuzz: Domains.feedForward, default: 0,
            "hidden units of the experts used, together")
        var options = Experts.Options()
        options.normalizes = normalizesWeights
        options.sharesSize = true
        options.groups = true
        experts = try Experts(&h, dimensions, options, feedForward: feedForward)
        (self.tying, self.bias) = (tying, bias)
    }

    func build(_ g: GraphBuilder) {
        let rope = rotary.rope()
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization))
            let mixed = block.batchAttention(
                block.norm("attn_q_norm", q, normalization).rotated(rope),
                block.norm("attn_k_norm", k, normalization).rotated(rope), v, scale: attention.scale)
            x = x + block.linear("attn_output", mixed, dimensions.embedding, bias: bias)
            x = x + block.mixture(block.norm("ffn_norm", x, normalization), experts, .init())
        }
        g.logits(x, dimensions, normalization, tying: tying)
    }
}
