import ModelGraph

/// Gemma 4: Gemma 3 with heads of another size and number in layers with a window, values that may be the keys, last
/// layers that look at the keys and values of earlier ones, per-layer embeddings, and experts beside each feed-forward
/// network.
///
/// Scores are not scaled. Files hold the frequency factors of layers without a window, infinite ones where nothing is
/// rotated.
/// Source: `Gemma4ForCausalLM` of transformers, which the authors wrote.
public struct Gemma4: Architecture {
    public static let name = "gemma4"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: Gemma4Attention
    let sharing: SharedCaches
    let feedForward: [Int]
    let experts: Experts?
    /// nil: layers have no embeddings of their own.
    let perLayer: PerLayerEmbedding?
    let logitCap: Double

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, layers: [2, 3, 4, 6, 1])
        let layers = dimensions.layers
        traits = try Traits(decoder: &h, bidirectional: false)
        normalization = try Normalization(&h, .rms)
        attention = try Gemma4Attention(&h, dimensions)
        sharing = try SharedCaches(&h, windows: attention.isWindowed, default: 0)
        feedForward = try h.integers(
            "feed_forward_length", 1...(1 << 20), fuzz: Domains.feedForward, layers: layers,
            "hidden units of a feed-forward network")
        experts = try Experts.optional(&h, dimensions, Experts.Options(), feedForward: feedForward[0])
        let size = try h.integer(
            "embedding_length_per_layer_input", 0...65536, fuzz: [0, 32, 64, 33, 8],
            "elements of the embedding that each layer has; 0: none has")
        perLayer = size == 0 ? nil : PerLayerEmbedding(size: size)
        logitCap = try h.real(
            "final_logit_softcapping", 0...1e6, fuzz: [30, 1, 0], default: 30, "bound of the logits; 0: none")
    }

    public func build(_ g: GraphBuilder) {
        let width = dimensions.embedding
        var x = g.tokenEmbedding(dimensions) * Double(width).squareRoot()
        let inputs = perLayer?.inputs(g, x, dimensions, normalization)
        var caches: [Int: (keys: Value, values: Value)] = [:]
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let mixed = attend(block, layer, block.norm("attn_norm", x, normalization), &caches)
            x = x + block.norm("post_attention_norm", block.linear("attn_output", mixed, width), normalization)
            x = x + block.norm("post_ffw_norm", feed(block, layer, x), normalization)
            if let perLayer, let inputs {
                x = x + perLayer.output(block, layer, x, inputs: inputs, normalization)
            }
            if let scale = block.optionalWeight(
                "layer_output_scale.weight", [1], .scale, presence: .most) { x = x * scale }
        }
        g.logits(x, dimensions, normalization, softcap: logitCap == 0 ? nil : logitCap)
    }

    private func attend(
        _ block: Scope, _ layer: Int, _ x: Value, _ caches: inout [Int: (keys: Value, values: Value)]
    ) -> Value {
        let (groups, size) = (attention.keyValueHeads[layer], attention.size(of: layer))
        let (queries, k, v) = project(block, layer, x, size: size)
        if let k {
            let keys = block.norm("attn_k_norm", k.reshaped([x.shape[0], groups, size]), normalization)
            let values = (v ?? k).reshaped([x.shape[0], groups, size]).norm(.rms, normalization.epsilon)
            caches[layer] = attention.cached(block, layer, keys, values)
        }
        guard let cache = caches[sharing.source(of: layer)] else { return x }
        return attention.attend(block, layer, queries, cache, normalization)
    }

    /// Queries, keys and values; no keys where another layer's serve, and no values where they are the keys.
    private func project(_ block: Scope, _ layer: Int, _ x: Value, size: Int) -> (Value, Value?, Value?) {
        let (q, k) = (attention.heads * size, attention.keyValueHeads[layer] * size)
        guard sharing.source(of: layer) == layer else {
            // Released files have weights of keys and values all the same.
            for name in ["attn_k", "attn_v"] {
                _ = block.optionalWeight("\(name).weight", [k, x.shape[1]], .projection, presence: .few)
            }
            _ = block.optionalWeight("attn_k_norm.weight", [size], .scale, presence: .few)
            return (block.linear("attn_q", x, q), nil, nil)
        }
        if let fused = block.optionalWeight("attn_qkv.weight", [q + 2 * k, x.shape[1]], .projection) {
            let qkv = x.matmul(fused)
            return (qkv.columns(0, q), qkv.columns(q, k), qkv.columns(q + k, k))
        }
        let queries = block.linear("attn_q", x, q)
        let keys = block.linear("attn_k", x, k)
        let values = block.optionalWeight("attn_v.weight", [k, x.shape[1]], .projection, presence: .most)
        return (queries, keys, values.map { x.matmul($0) })
    }

    private func feed(_ block: Scope, _ layer: Int, _ x: Value) -> Value {
        let dense = block.feedForward(
            block.norm("ffn_norm", x, normalization), size: feedForward[layer], .gated(.geglu))
        guard let experts else { return dense }
        var tensors = Scope.ExpertTensors()
        tensors.activation = .gated(.geglu)
        tensors.mayFuseGateUp = true
        tensors.mayScaleExperts = true
        let width = dimensions.embedding
        let scored = x.norm(.rms, normalization.epsilon) * (1 / Double(width).squareRoot())
            * block.weight("ffn_gate_inp.scale", [width], .scale)
        let mixed = block.mixture(block.norm("pre_ffw_norm_2", x, normalization), experts, tensors, scored: scored)
        return block.norm("post_ffw_norm_1", dense, normalization) + block.norm("post_ffw_norm_2", mixed, normalization)
    }
}
