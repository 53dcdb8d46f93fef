import ModelGraph

/// Granite 4 and Bamba: Mamba-2 with some layers of grouped-query attention, rotated or without positions, and
/// feed-forward networks dense or with experts beside one that every token uses. Sources: IBM 2025 (Granite 4),
/// `GraniteMoeHybridForCausalLM` and `BambaForCausalLM` of transformers, which the authors wrote.
public struct GraniteHybrid: Architecture {
    public static let name = "granitehybrid"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    /// nil: nothing is rotated.
    let rotary: RotaryEmbedding?
    let stateSpace: StateSpaceDuality
    let multipliers: Multipliers
    let feedForward: Int
    let experts: Experts?
    let sharedSize: Int

    /// Scales by which the models' sizes differ (µP); in files, 0 is none.
    struct Multipliers: Sendable {
        let embedding: Double
        let residual: Double
        /// Of the scores, in place of `1/√size`.
        let attention: Double?
        let logits: Double

        init(_ h: inout some Hyperparameters) throws {
            func scale(_ key: String, _ fuzz: [Double], _ about: String) throws -> Double? {
                let scale = try h.real(key, 0...1e6, fuzz: fuzz, default: 0, "\(about); 0: none")
                return scale == 0 ? nil : scale
            }
            embedding = try scale("embedding_scale", [12, 1, 0.5, 0], "multiplies the embeddings") ?? 1
            residual = try scale("residual_scale", [0.25, 1, 2, 0], "multiplies what a block adds") ?? 1
            attention = try scale(
                "attention.scale", [0.0625, 1, 0.3, 0],
                "multiplies the attention scores, in place of what follows from the size of a head")
            logits = try 1 / (scale("logit_scale", [8, 1, 0.5, 0], "divides the logits") ?? 1)
        }
    }

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, layers: LayerLayouts.hybridDepths)
        traits = try Traits(decoder: &h, bidirectional: false)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions, otherLayers: true)
        // The key stands for another thing than its name says.
        let isRotated = try h.boolean(
            "rope.scaling.finetuned", among: [true, false], default: true,
            "whether attention layers have rotated positions")
        let rotary = try RotaryEmbedding(
            &h, dimensions, headSize: attention.keySize, pairing: .normal, scalings: [.linear, .none, .yarn, .longrope])
        self.rotary = isRotated ? rotary : nil
        multipliers = try Multipliers(&h)
        stateSpace = try StateSpaceDuality(&h, channels: [2 * dimensions.embedding])
        feedForward = try h.feedForwardLength()
        var options = Experts.Options()
        options.gatings = [.softmaxOfSelected]
        options.normalizes = false
        options.declaresSize = false
        experts = try Experts.optional(&h, dimensions, options, feedForward: feedForward)
        sharedSize = experts == nil ? 0 : try h.integer(
            "expert_shared_feed_forward_length", 0...(1 << 20), fuzz: [32, 64, 33, 0, 1], default: 0,
            "hidden units of the expert that every token uses; 0: none")
    }

    public func build(_ g: GraphBuilder) {
        let (rope, factors) = (rotary?.rope(), rotary?.factors(g))
        var x = g.tokenEmbedding(dimensions) * multipliers.embedding
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let normed = block.norm("attn_norm", x, normalization)
            let mixed: Value
            if attention.keyValueHeads[layer] == 0 {
                mixed = stateSpace.mix(block, normed, normalization)
            } else {
                let (q, k, v) = attention.project(block, layer, normed, bias: .rare)
                let looked = block.cachedAttention(
                    q, k, v, scale: multipliers.attention ?? attention.scale, rope: rope, factors: factors)
                mixed = block.linear("attn_output", looked, dimensions.embedding, bias: .rare)
            }
            x = x + mixed * multipliers.residual
            x = x + feed(block, block.norm("ffn_norm", x, normalization)) * multipliers.residual
        }
        g.logits(x, dimensions, normalization, scale: multipliers.logits)
    }

    private func feed(_ block: Scope, _ x: Value) -> Value {
        guard let experts else {
            return block.feedForward(x, size: feedForward, .gated(.swiglu), bias: .rare)
        }
        let mixed = block.mixture(x, experts, .init())
        return sharedSize == 0 ? mixed
            : mixed + block.feedForward(x, size: sharedSize, .gated(.swiglu), suffix: "_shexp")
    }
}
