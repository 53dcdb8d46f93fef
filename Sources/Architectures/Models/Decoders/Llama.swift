import ModelGraph

/// Llama and its many kin: a pre-norm decoder with RoPE, grouped queries and SwiGLU, dense or with experts.
/// Source: Touvron et al. 2023; Jiang et al. 2024 (Mixtral).
public struct Llama: Architecture {
    public static let name = "llama"
    let decoder: LlamaDecoder
    public var dimensions: Dimensions { decoder.dimensions }
    public var traits: Traits { decoder.traits }

    public init(_ h: inout some Hyperparameters) throws { decoder = try LlamaDecoder(&h, .plain) }
    public func build(_ g: GraphBuilder) { decoder.build(g) }
}

/// Ministral 3 and Mistral Small 3.1: Llama whose queries grow with their positions beyond the original context.
/// Source: `Ministral3ForCausalLM` of transformers.
public struct Mistral3: Architecture {
    public static let name = "mistral3"
    let decoder: LlamaDecoder
    public var dimensions: Dimensions { decoder.dimensions }
    public var traits: Traits { decoder.traits }

    public init(_ h: inout some Hyperparameters) throws { decoder = try LlamaDecoder(&h, .tempered) }
    public func build(_ g: GraphBuilder) { decoder.build(g) }
}

/// Llama-Embed-Nemotron: Llama as an embedding model, whose tokens see the whole text.
/// Source: Babakhin et al. 2025, section 2, and its authors' `llama_bidirectional_model.py`.
public struct LlamaEmbed: Architecture {
    public static let name = "llama-embed"
    let decoder: LlamaDecoder
    public var dimensions: Dimensions { decoder.dimensions }
    public var traits: Traits { decoder.traits }

    public init(_ h: inout some Hyperparameters) throws { decoder = try LlamaDecoder(&h, .embedder) }
    public func build(_ g: GraphBuilder) { decoder.build(g) }
}

/// What Llama's kin share.
struct LlamaDecoder: Sendable {
    enum Kind { case plain, tempered, embedder }

    let dimensions: Dimensions
    let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let feedForward: Int
    let experts: Experts?
    /// Growth of queries with every original context that they are beyond; 0: none.
    let temperatureScale: Double
    /// The magnitude that YaRN gives queries and keys, where it is not YaRN's own.
    let magnitude: Double?
    let kind: Kind

    init(_ h: inout some Hyperparameters, _ kind: Kind) throws {
        self.kind = kind
        dimensions = try Dimensions(&h)
        traits = try kind == .embedder
            ? Traits(bidirectional: &h, poolings: Pooling.ofTexts) : Traits(decoder: &h, takesEmbeddings: true)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions)
        rotary = try RotaryEmbedding(
            &h, dimensions, headSize: attention.keySize, pairing: .normal, whole: true,
            scalings: [.linear, .none, .yarn, .longrope])
        if kind == .tempered {
            temperatureScale = try h.real(
                "attention.temperature_scale", 0...1e3, fuzz: [0.1, 0.5, 0], default: 0,
                "growth of queries beyond the original context; 0: none")
            let multiplier = rotary.scaling == .yarn ? try h.real(
                "rope.scaling.yarn_log_multiplier", 0...1e3, fuzz: [1, 0.75, 0], default: 0,
                "YaRN's mscale_all_dim, whose magnitude divides that of mscale; 0: none") : 0
            magnitude = multiplier == 0 ? nil
                : RotaryEmbedding.yarnMagnitude(rotary.factor)
                    / RotaryEmbedding.yarnMagnitude(rotary.factor, multiplier)
        } else {
            (temperatureScale, magnitude) = (0, nil)
        }
        feedForward = try h.feedForwardLength()
        var options = Experts.Options()
        options.declaresSize = false
        experts = try Experts.optional(&h, dimensions, options, feedForward: feedForward)
    }

    func build(_ g: GraphBuilder) {
        let factors = rotary.factors(g)
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let mixed = attend(block, layer, block.norm("attn_norm", x, normalization), factors: factors)
            x = x + block.linear("attn_output", mixed, dimensions.embedding, bias: .optional)
            let normed = block.norm("ffn_norm", x, normalization)
            if let experts {
                x = x + block.mixture(normed, experts, .init())
            } else {
                x = x + block.feedForward(normed, size: feedForward, .gated(.swiglu), bias: .optional)
            }
        }
        g.logits(x, dimensions, normalization, head: kind == .embedder ? { $0 } : nil)
    }

    private func attend(_ block: Scope, _ layer: Int, _ x: Value, factors: Value?) -> Value {
        let g = block.g
        let rope = rotary.rope(magnitude: magnitude)
        let (q, k, v) = attention.project(block, layer, x)
        if kind == .plain {
            return block.cachedAttention(
                q, k, v, scale: attention.scale, mask: traits.mask, rope: rope, factors: factors)
        }
        var queries = q.rotated(rope, factors: factors)
        let keys = k.rotated(rope, factors: factors)
        if kind == .embedder { return block.batchAttention(queries, keys, v, scale: attention.scale) }
        if temperatureScale != 0 {
            let length = Double(rotary.originalContext)
            queries = queries * g.applyShared(
                .attentionTemperature(scale: temperatureScale, length: length, offset: 0), g.positions)
        }
        return block.cachedAttention(
            queries, keys, v, scale: attention.scale, mask: traits.mask, rotation: g.rotation(rope, factors: factors))
    }
}
