import Foundation
import ModelGraph

/// Gemma 3n: Gemma 3 with a residual stream of several parts (AltUp), a low-rank path beside attention (LAuReL),
/// per-layer embeddings, last layers that look at the keys and values of earlier ones, and gates of which only the
/// largest count.
///
/// The rank of the path beside attention is 64, which no key says.
/// Sources: `Gemma3nForCausalLM` of transformers, which the authors wrote; Menghani et al. 2024 (LAuReL), section 2.
public struct Gemma3n: Architecture {
    public static let name = "gemma3n"
    private static let laurelRank = 64

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let windows: WindowPattern
    let windowedBase: Double
    let sharing: SharedCaches
    let feedForward: [Int]
    /// Deviations above the mean from which on a gate counts, of each layer; nil where all do.
    let sparsity: [Double?]
    let updates: AlternatingUpdates
    let perLayer: PerLayerEmbedding
    let logitCap: Double

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h)
        traits = try Traits(decoder: &h, bidirectional: false)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox)
        let window = try h.integer(
            "attention.sliding_window", 1...(1 << 30), fuzz: WindowPattern.lengths, "positions that a window holds")
        windows = try WindowPattern(&h, dimensions, window: .sliding(window), period: 5)
        windowedBase = try h.real(
            "rope.freq_base_swa", 1...1e12, fuzz: [10_000, 100, 1_000_000], default: 10_000,
            "base of the rotation frequencies of layers with a window")
        sharing = try SharedCaches(
            &h, windows: windows.masks.map { $0.window != .unlimited }, default: max(0, dimensions.layers - 20))
        let layers = dimensions.layers
        // One for each layer, of released models all alike.
        feedForward = try h.integers(
            "feed_forward_length", 1...(1 << 20),
            layouts: Domains.feedForward.map { Array(repeating: $0, count: layers) },
            layers: layers, default: [], "hidden units of a feed-forward network")
        try h.require(feedForward.count == layers, "feed_forward_length", because: "is missing")
        let none = -Double(Float.greatestFiniteMagnitude)
        // 95 % of normally distributed gates, in the first ten layers of the released models.
        let most = 1.6448533535003662
        sparsity = try h.reals(
            "activation_sparsity_scale", none...1e6, fuzz: [most, 0, none, -1], layers: layers,
            default: (0..<layers).map { $0 < 10 ? most : none },
            "deviations above the mean from which on a gate counts; −∞: all do"
        ).map { $0 == none ? nil : $0 }
        updates = try AlternatingUpdates(&h)
        perLayer = PerLayerEmbedding(
            size: try h.integer(
                "embedding_length_per_layer_input", 1...65536, fuzz: [256, 64, 33], default: 256, isRare: true,
                "elements of the embedding that each layer has"))
        logitCap = try h.real(
            "final_logit_softcapping", 1e-3...1e6, fuzz: [30, 1, 5], default: 30, isRare: true, "bound of the logits")
    }

    public func build(_ g: GraphBuilder) {
        let embedded = g.tokenEmbedding(dimensions) * Double(dimensions.embedding).squareRoot()
        let inputs = perLayer.inputs(g, embedded, dimensions, normalization)
        var x = updates.expand(g, embedded)
        var caches: [Int: (keys: Value, values: Value)] = [:]
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let predicted = updates.predict(block, x, normalization)
            let input = predicted[updates.active]
            let normed = block.norm("attn_norm", input, normalization)
            let beside = normed + block.norm(
                "laurel_post_norm",
                block.linear("laurel_r", block.linear("laurel_l", normed, Self.laurelRank), dimensions.embedding),
                normalization)
            let mixed = input + block.norm("post_attention_norm", attend(block, layer, normed, &caches), normalization)
            let both = (mixed + beside) * 0.5.squareRoot()
            let fed = feed(block, layer, block.norm("ffn_norm", both, normalization))
            x = updates.correct(
                block, predicted, by: both + block.norm("post_ffw_norm", fed, normalization), normalization)

            let scaled = x[updates.active] * block.weight("altup_correct_scale.weight", [dimensions.embedding], .scale)
            let added = perLayer.output(block, layer, scaled, inputs: inputs, normalization)
            for part in 1..<max(1, x.count) { x[part] = x[part] + added }
        }
        g.layer = nil
        g.logits(updates.merge(g, x), dimensions, normalization, softcap: logitCap)
    }

    private func attend(
        _ block: Scope, _ layer: Int, _ x: Value, _ caches: inout [Int: (keys: Value, values: Value)]
    ) -> Value {
        // What stretches the context does not concern a window, but for the magnitude.
        let rope = windows.isWindowed(layer)
            ? Rope(pairing: .neox, dimensions: rotary.dimensions, base: windowedBase, magnitude: rotary.attentionFactor)
            : rotary.rope()
        let (q, k, v) = attention.project(block, layer, x, bias: .rare)
        // A layer that looks at another's keys has the weights of its own all the same.
        let keys = block.norm("attn_k_norm", k, normalization)
        if sharing.source(of: layer) == layer {
            caches[layer] = block.cached(
                keys.rotated(rope), v.norm(.rms, normalization.epsilon), rotation: block.g.rotation(rope))
        }
        guard let cache = caches[sharing.source(of: layer)] else { return x }
        let mixed = block.attention(
            block.norm("attn_q_norm", q, normalization).rotated(rope), cache.keys, cache.values,
            block.g.cacheMask(windows.masks[layer]), scale: 1, valueSize: attention.valueSize)
        return block.linear("attn_output", mixed, dimensions.embedding)
    }

    private func feed(_ block: Scope, _ layer: Int, _ x: Value) -> Value {
        let size = feedForward[layer]
        var gate = block.linear("ffn_gate", x, size)
        if let deviations = sparsity[layer] {
            let centred = gate - gate.sum(1) * (1 / Double(size))
            gate = (centred - centred.length * (deviations / Double(size).squareRoot()))(.relu)
        }
        let hidden = block.g.apply(.gated(.geglu), gate, block.linear("ffn_up", x, size))
        return block.linear("ffn_down", hidden, dimensions.embedding)
    }
}
