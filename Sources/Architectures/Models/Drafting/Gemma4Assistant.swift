import ModelGraph

/// The draft that comes with a Gemma 4: a few of its blocks, of another width, which have no keys and values of their
/// own but look at those of the last layers of the target, without a window and with one.
///
/// It goes on from the target's embedding of a token and from its state, and so all that it knows of a token is given:
/// the two, then the keys, not yet rotated, and values of each kind of layer. Its other result is a state of the
/// target's width. A window reaches as many positions back as its length says, one more than the target's own do. Logits
/// that are computed for the tokens of the best clusters only lose their tensors when a file is made.
/// Source: `Gemma4AssistantForCausalLM` of transformers, which the authors wrote.
public struct Gemma4Assistant: Architecture {
    public static let name = "gemma4-assistant"

    public let dimensions: Dimensions
    public let traits = Traits(drafting: .states)
    let targetWidth: Int
    let normalization: Normalization
    let attention: Gemma4Attention
    let feedForward: [Int]

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, layers: [2, 3, 4, 1], isDraft: true)
        targetWidth = try h.integer("embedding_length_out", 1...(1 << 20), fuzz: Domains.sizes, "width of the target")
        normalization = try Normalization(&h, .rms)
        attention = try Gemma4Attention(&h, dimensions, further: 1)
        let attention = attention
        for isWindowed in [false, true] {
            let groups = Set(zip(attention.keyValueHeads, attention.isWindowed).filter { $1 == isWindowed }.map(\.0))
            try h.require(
                groups.count <= 1, "attention.head_count_kv",
                because: "\(groups.sorted()) key/value heads in layers that look at those of one")
        }
        feedForward = try h.integers(
            "feed_forward_length", 1...(1 << 20), fuzz: Domains.feedForward, layers: dimensions.layers,
            "hidden units of a feed-forward network")
        try h.note("attention.shared_kv_layers", "layers that look at the keys and values of others: all")
        try h.note("embedding_length_per_layer_input", "elements of the embedding that each layer has: none has one")
        try h.note("final_logit_softcapping", "bound of the target's logits")
    }

    /// A layer of each kind that there is, those without a window first.
    private var kinds: [Int] { [false, true].compactMap(attention.isWindowed.firstIndex) }

    /// Elements of the keys of a layer's kind, or of its values.
    private func cacheWidth(_ layer: Int) -> Int { attention.keyValueHeads[layer] * attention.size(of: layer) }

    public func build(_ g: GraphBuilder) {
        let width = dimensions.embedding
        let given = g.input(.hidden, [g.batch.tokens, 2 * targetWidth + 2 * kinds.map(cacheWidth).reduce(0, +)])
        var caches: [Bool: (keys: Value, values: Value)] = [:]
        var start = 2 * targetWidth
        for layer in kinds {
            let (groups, size, count) = (attention.keyValueHeads[layer], attention.size(of: layer), cacheWidth(layer))
            func heads(_ part: Int) -> Value {
                given.columns(start + part * count, count).reshaped([g.batch.tokens, groups, size])
            }
            caches[attention.isWindowed[layer]] = attention.cached(g.block(layer), layer, heads(0), heads(1))
            start += 2 * count
        }
        var x = g.model.linear("nextn.pre_projection", given.columns(0, 2 * targetWidth), width)
        for layer in 0..<dimensions.layers {
            guard let cache = caches[attention.isWindowed[layer]] else { continue }
            x = transform(g.block(layer), layer, x, cache)
        }
        let rows = g.embeddings(x) {
            g.model.linear("nextn.post_projection", $0, targetWidth)
        } _: { g.model.norm("output_norm", $0, normalization) }
        g.output(.logits, rows.matmul(g.model.weight("token_embd.weight", [dimensions.vocabulary, width], .embedding)))
    }

    private func transform(_ block: Scope, _ layer: Int, _ x: Value, _ cache: (keys: Value, values: Value)) -> Value {
        let width = dimensions.embedding
        let queries = block.linear(
            "attn_q", block.norm("attn_norm", x, normalization), attention.heads * attention.size(of: layer))
        let mixed = attention.attend(block, layer, queries, cache, normalization)
        let attended = x + block.norm("post_attention_norm", block.linear("attn_output", mixed, width), normalization)
        let fed = block.feedForward(
            block.norm("ffn_norm", attended, normalization), size: feedForward[layer], .gated(.geglu))
        return (attended + block.norm("post_ffw_norm", fed, normalization))
            * block.weight("layer_output_scale.weight", [1], .scale)
    }
}
