import ModelGraph

/// Nomic Embed: BERT with rotated positions and SwiGLU.
/// Sources: Nussbaum et al. 2024, section 3; `modeling_hf_nomic_bert.py` of the authors' repository, `NomicBertModel`
/// of transformers.
public struct NomicBERT: Architecture {
    public static let name = "nomic-bert"

    let encoder: PostNormEncoder
    let rotary: RotaryEmbedding
    public var dimensions: Dimensions { encoder.dimensions }
    public var traits: Traits { encoder.text.traits }

    public init(_ h: inout some Hyperparameters) throws {
        encoder = try PostNormEncoder(&h, evenHeads: true, grouping: .rarely)
        rotary = try RotaryEmbedding(&h, encoder.dimensions, headSize: encoder.attention.keySize, pairing: .neox)
    }

    public func build(_ g: GraphBuilder) {
        let rope = rotary.rope()
        encoder.build(
            g, qkvBias: .rare, outputBias: .rare, turn: { ($1.rotated(rope), $2.rotated(rope)) },
            feed: { block, _, x in block.feedForward(x, size: encoder.feedForward, .gated(.swiglu)) })
    }
}

/// Nomic Embed v2: BERT with rotated positions, and experts in every few layers, which add up to no bias.
///
/// The authors add a bias to the sum of the experts, which files lack.
/// Sources: Nussbaum and Duderstadt 2025, section 3; `modeling_hf_nomic_bert.py` of the authors' repository.
public struct NomicBERTMoE: Architecture {
    public static let name = "nomic-bert-moe"

    let encoder: PostNormEncoder
    let rotary: RotaryEmbedding
    /// Of each layer; nil where it is dense.
    let experts: [Experts?]
    public var dimensions: Dimensions { encoder.dimensions }
    public var traits: Traits { encoder.text.traits }

    public init(_ h: inout some Hyperparameters) throws {
        encoder = try PostNormEncoder(&h, evenHeads: true, grouping: .rarely)
        rotary = try RotaryEmbedding(&h, encoder.dimensions, headSize: encoder.attention.keySize, pairing: .neox)
        let period = try h.integer(
            "moe_every_n_layers", 0...512, fuzz: [2, 3, 0, 1], default: 0,
            "the second of every so many layers has experts; 0 or 1: none")
        let layers = (0..<encoder.dimensions.layers).map { period > 0 && $0 % period == 1 }
        guard layers.contains(true) else {
            try h.note("expert_count", "no layer has experts")
            try h.note("expert_used_count", "no layer has experts")
            experts = layers.map { _ in nil }
            return
        }
        var options = Experts.Options()
        options.normalizes = false
        options.declaresSize = false
        let common = try Experts(&h, encoder.dimensions, options, feedForward: encoder.feedForward)
        experts = layers.map { $0 ? common : nil }
    }

    public func build(_ g: GraphBuilder) {
        let rope = rotary.rope()
        var tensors = Scope.ExpertTensors()
        tensors.activation = .plain(.geluErf)
        encoder.build(
            g, turn: { ($1.rotated(rope), $2.rotated(rope)) },
            feed: { block, layer, x in
                experts[layer].map { block.mixture(x, $0, tensors) }
                    ?? block.feedForward(x, size: encoder.feedForward, .plain(.geluErf), bias: .optional)
            })
    }
}
