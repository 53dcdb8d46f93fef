import ModelGraph

/// EAGLE-3: one block that drafts the tokens of a larger model, from the embedding of a token and a state beside it.
/// That is what the target made of the token before, mapped to the draft's width, or what the draft itself did.
///
/// The block's queries, keys and values see both, joined; its residual stream goes on from the state alone. The last
/// norm is for the logits only, and the next state is what comes before it.
/// Sources: Li et al. 2025, section 3.1, and its authors' code (`cnets.py`), which is no package; the package speculators
/// of vLLM's authors, against whose block it is held, for the two options about norms, which later drafts have. A draft
/// that looks its tokens up in its target is not a model by itself.
public struct EAGLE3: Architecture {
    public static let name = "eagle3"

    public let dimensions: Dimensions
    public let traits = Traits(takesEmbeddings: true, drafting: .states)
    let features: TargetFeatures
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let feedForward: Int
    let continuesFromNorm: Bool
    let normsFeatures: Bool

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, layers: [1])
        try h.require(dimensions.layers == 1, "block_count", because: "\(dimensions.layers) blocks: must be one")
        let width = try h.integer("target_hidden_size", 1...(1 << 20), fuzz: Domains.sizes, "width of the target")
        features = try TargetFeatures(&h, counts: [3], targetWidth: width)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .normal)
        feedForward = try h.feedForwardLength()
        continuesFromNorm = try h.boolean(
            "norm_before_residual", default: false, "whether the residual stream goes on from the state after its norm")
        normsFeatures = try h.boolean(
            "norm_before_fc", default: false, "whether what the target made is normed before it is mapped")
    }

    public func build(_ g: GraphBuilder) {
        let width = dimensions.embedding
        let table = g.model.weight("token_embd.weight", [dimensions.vocabulary, width], .embedding)
        let state = features.fused(g, dimensions, normalization: normsFeatures ? normalization : nil)
            ?? g.input(.hidden, [g.batch.tokens, width])
        let vocabulary = DraftVocabulary(g, dimensions)
        let factors = rotary.factors(g)
        let block = g.block(0)
        let normed = block.norm("attn_norm_2", state, normalization)
        let joined = block.norm("attn_norm", table.rows(g.tokens), normalization).joined(normed)
        let (q, k, v) = attention.project(block, 0, joined, fused: .never, bias: .none)
        let mixed = block.cachedAttention(q, k, v, scale: attention.scale, rope: rotary.rope(), factors: factors)
        var x = (continuesFromNorm ? normed : state) + block.linear("attn_output", mixed, width)
        x = x + block.feedForward(block.norm("ffn_norm", x, normalization), size: feedForward, .gated(.swiglu))
        g.logits(x, dimensions, normalization, count: vocabulary.count, tying: .never, adjusting: vocabulary.spread)
    }
}
