import ModelGraph

/// The decoder of most models: attention with rotated heads and a feed-forward network in turn, a norm before each.
struct PreNormDecoder: Sendable {
    /// In what models of this kind differ.
    struct Form: Sendable {
        var norm = Norm.rms
        var normBias = Scope.Bias.none
        var headSize = GroupedQueryAttention.HeadSize.splitEmbedding
        var grouping = GroupedQueryAttention.Grouping.freely
        var pairing = Rope.Pairing.neox
        /// Whether every element of a head is rotated.
        var rotatesWhole = true
        var activation = Activation.gated(.swiglu)
        /// Biases of queries, keys and values; of what follows attention; of the feed-forward network.
        var projectionBias = Scope.Bias.optional
        var outputBias = Scope.Bias.none
        var feedForwardBias = Scope.Bias.none
        var tying = GraphBuilder.Tying.never
    }

    let form: Form
    let dimensions: Dimensions
    let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let feedForward: Int

    init(_ h: inout some Hyperparameters, _ form: Form) throws {
        self.form = form
        dimensions = try Dimensions(&h, embeddings: form.headSize == .declaredAlike ? Domains.sizes : Domains.evenSizes)
        traits = try Traits(decoder: &h)
        normalization = try Normalization(&h, form.norm, bias: form.normBias)
        attention = try GroupedQueryAttention(&h, dimensions, headSize: form.headSize, grouping: form.grouping)
        rotary = try RotaryEmbedding(
            &h, dimensions, headSize: attention.keySize, pairing: form.pairing, whole: form.rotatesWhole)
        feedForward = try h.feedForwardLength()
    }

    func build(_ g: GraphBuilder) {
        let rope = rotary.rope()
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let (q, k, v) = attention.project(
                block, layer, block.norm("attn_norm", x, normalization), bias: form.projectionBias)
            let mixed = block.cachedAttention(q, k, v, scale: attention.scale, mask: traits.mask, rope: rope)
            x = x + block.linear("attn_output", mixed, dimensions.embedding, bias: form.outputBias)
            x = x + block.feedForward(
                block.norm("ffn_norm", x, normalization), size: feedForward, form.activation,
                bias: form.feedForwardBias)
        }
        g.logits(x, dimensions, normalization, tying: form.tying)
    }
}
