import ModelGraph

/// DFlash: a draft that writes a block of tokens at once. Its layers attend to what the target made of the tokens
/// before, which is context only: it goes through the maps to keys and values, and through nothing else.
///
/// Tokens of a block see each other, later ones too, unless the file says that they do not; windows reach as far either
/// way then. A file cannot say of single layers that they are causal, as its authors' code has those with a window
/// where a configuration is silent; Muse Glimmer's code, which writes the same files, has none so, and its windows hold a
/// token more to each side.
/// Sources: Chen et al. 2026; its authors' code, the package dflash, where logits are scaled and bounded too, and
/// `MuseGlimmerAssistantModel` of transformers, against both of which it is held; the options of Gemma 4's drafts (values
/// that are keys, norms after each part, scales) follow `Gemma4ForCausalLM` of transformers. Convolutions and selectors
/// of DFlash 2, the Markov heads of DSpark and its DeepSeek-V4 blocks are other models, of which tensors say that they
/// are there: they are refused.
public struct DFlash: Architecture {
    public static let name = "dflash"

    public let dimensions: Dimensions
    public let traits: Traits
    let features: TargetFeatures
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let masks: [Mask]
    let rotary: RotaryEmbedding
    let hasSections: Bool
    let feedForward: Int
    let activation: Activation
    /// Of scores; of what attention gives; of embeddings; of logits.
    let scoreScale, mixedScale, embeddingScale, logitScale: Double
    let logitCap: Double

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h)
        features = try TargetFeatures(&h, counts: [2, 1, 3, 5], targetWidth: dimensions.embedding)
        let isCausal = try h.boolean("attention.causal", default: false, "whether tokens of a block see no later ones")
        traits = Traits(isBidirectional: !isCausal, takesEmbeddings: true, drafting: .context)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions)
        masks = try Self.masks(&h, dimensions, causal: isCausal)
        rotary = try RotaryEmbedding(
            &h, dimensions, headSize: attention.keySize, pairing: .neox)
        hasSections = try Self.hasSections(&h, rotary, headSize: attention.keySize)
        feedForward = try h.feedForwardLength()
        let function = try h.text(
            "hidden_activation", among: ["silu", "gelu_pytorch_tanh"], default: "silu",
            "the activation of the feed-forward networks")
        activation = .gated(function == "silu" ? .swiglu : .geglu)
        scoreScale = try h.optionalReal(
            "attention.scale", 1e-3...1e3, fuzz: [1, 0.25], isRare: true,
            "multiplies scores in place of one by the root of a head's size") ?? attention.scale
        mixedScale = try h.draftScale("attention.value_scale", "multiplies what attention gives")
        embeddingScale = try h.draftScale("embedding_scale", "multiplies the embeddings of tokens")
        logitScale = try h.draftScale("logit_scale", "multiplies the logits")
        logitCap = try h.real(
            "final_logit_softcapping", 0...1e6, fuzz: [0, 30, 1], default: 0, isRare: true,
            "bound of the logits; 0: none")
        for (key, about) in [
            ("block_size", "tokens that are drafted at once"),
            ("sample_from_anchor", "whether the first of them is one"),
            ("has_confidence_head", "whether drafts of another kind say how sure they are"),
        ] { try h.note(key, about) }
    }

    /// Of a target whose tokens have several positions, a draft turns by the first of them, and by no factors; nor do
    /// heads that turn in part.
    private static func hasSections(
        _ h: inout some Hyperparameters, _ rotary: RotaryEmbedding, headSize: Int
    ) throws -> Bool {
        let (key, pairs) = ("rope.dimension_sections", rotary.dimensions / 2)
        guard let sections = try h.optionalIntegers(
            key, 0...65536, layouts: [[headSize / 2, 0, 0, 0], [pairs, 0, 0, 0]], count: 4,
            "pairs of each head that turn by the first position of a token, which are all")
        else { return false }
        try h.require(
            sections[0] >= pairs && sections.dropFirst().allSatisfy { $0 == 0 }, key, "rope.dimension_count",
            because: "sections \(sections) of \(pairs) pairs: all must be of the first")
        return true
    }

    /// What tokens see in each layer.
    private static func masks(
        _ h: inout some Hyperparameters, _ dimensions: Dimensions, causal: Bool
    ) throws -> [Mask] {
        let length = try h.integer(
            "attention.sliding_window", 0...(1 << 30), fuzz: [0] + WindowPattern.lengths, default: 0,
            "positions that a window holds; 0: no windows")
        guard length > 0 else { return Array(repeating: Mask(causal: causal), count: dimensions.layers) }
        let all = [Array(repeating: true, count: dimensions.layers)]
        return try h.flags(
            "attention.sliding_window_pattern", layouts: all + LayerLayouts.mixtures(of: dimensions.layers),
            layers: dimensions.layers, "the layers with a window"
        ).map { Mask(causal: causal, window: $0 ? .symmetric(length - 1) : .unlimited) }
    }

    public func build(_ g: GraphBuilder) {
        let table = g.model.weight("token_embd.weight", [dimensions.vocabulary, dimensions.embedding], .embedding)
        let context = features.fused(g, dimensions, output: normalization)
        let vocabulary = DraftVocabulary(g, dimensions)
        let factors = hasSections || rotary.dimensions < attention.keySize ? nil : rotary.factors(g)
        if let context {
            for layer in 0..<dimensions.layers { _ = cache(g.block(layer), layer, context, factors) }
            // Nothing is wanted of it, but a graph has an output.
            g.embeddings(context) { $0 }
            return
        }
        var x = table.rows(g.tokens) * embeddingScale
        for layer in 0..<dimensions.layers { x = transform(g.block(layer), layer, x, factors) }
        g.logits(
            x, dimensions, normalization, count: vocabulary.count, tying: vocabulary.count == nil ? .optional : .never,
            scale: logitScale, softcap: logitCap == 0 ? nil : logitCap, adjusting: vocabulary.spread)
    }

    /// The layer's keys and values, `[C, G, S]`, with those of the batch.
    private func cache(_ block: Scope, _ layer: Int, _ x: Value, _ factors: Value?) -> (keys: Value, values: Value) {
        let (groups, size) = (attention.keyValueHeads[layer], attention.keySize)
        let heads: Shape = [x.shape[0], groups, size]
        let projected = block.linear("attn_k", x, groups * size).reshaped(heads)
        let own = block.optionalWeight("attn_v.weight", [groups * size, x.shape[1]], .projection, presence: .most)
        let values = own.map { x.matmul($0).reshaped(heads) } ?? projected.norm(.rms, normalization.epsilon)
        let rope = rotary.rope()
        let keys = block.norm("attn_k_norm", projected, normalization).rotated(rope, factors: factors)
        return block.cached(keys, values, rotation: block.g.rotation(rope, factors: factors))
    }

    private func transform(_ block: Scope, _ layer: Int, _ x: Value, _ factors: Value?) -> Value {
        let (width, heads, size) = (dimensions.embedding, attention.heads[layer], attention.keySize)
        let normed = block.norm("attn_norm", x, normalization)
        let (keys, values) = cache(block, layer, normed, factors)
        let projected = block.linear("attn_q", normed, heads * size).reshaped([x.shape[0], heads, size])
        let queries = block.norm("attn_q_norm", projected, normalization)
        let mixed = block.attention(
            queries.rotated(rotary.rope(), factors: factors), keys, values, block.g.cacheMask(masks[layer]),
            scale: scoreScale, valueSize: size,
            sinks: block.optionalWeight("attn_sinks.weight", [heads], .sink, presence: .few))
        func added(_ name: String, _ part: Value) -> Value {
            block.optionalNorm(name, part, normalization, presence: .few) ?? part
        }
        let attended = x + added("post_attention_norm", block.linear("attn_output", mixed, width) * mixedScale)
        let fed = attended + added(
            "post_ffw_norm",
            block.feedForward(block.norm("ffn_norm", attended, normalization), size: feedForward, activation))
        return block.optionalWeight("layer_output_scale.weight", [1], .scale, presence: .few).map { fed * $0 } ?? fed
    }
}

extension Hyperparameters {
    /// A scale that few drafts have; 1 where the metadata does not say.
    fileprivate mutating func draftScale(_ key: String, _ about: String) throws -> Double {
        try real(key, 1e-3...1e3, fuzz: Domains.scales, default: 1, isRare: true, about)
    }
}
