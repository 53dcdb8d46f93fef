import ModelGraph

/// Llama, dense or with experts, with factors of the embedding, the residuals, the attention scores and the logits.
///
/// Source: Yang et al. 2022 (Tensor Programs V), section 4, which these factors come from.
public struct ScaledDecoder: Sendable {
    public struct Scales: Hashable, Sendable {
        /// Multiplies the token embedding.
        public var embedding: Double
        /// Multiplies what each part adds to the residual stream.
        public var residual: Double
        /// Multiplies the products of queries and keys; nil: 1/√(the size of a head).
        public var attention: Double?
        /// Divides the logits.
        public var logits: Double
    }

    /// A layer of attention.
    public struct Layer: Hashable, Sendable {
        public var mask: Mask
        public var isRotated: Bool
    }

    public let dimensions: Dimensions
    public let traits: Traits
    public let normalization: Normalization
    public let attention: GroupedQueryAttention
    public let rotary: RotaryEmbedding
    public let feedForward: Int
    public let experts: Experts?
    /// Hidden units of the expert that every token has; 0: there is none.
    public let sharedExpert: Int
    public var scales = Scales(embedding: 1, residual: 1, attention: nil, logits: 1)
    public var layers: [Layer]
    /// Each query head has a score that only takes weight.
    public var hasSinks = false
    /// Gate and up are one matrix in experts, if the file has it so, and in the shared one.
    public var fusesExperts = false

    public init(
        _ h: inout some Hyperparameters, bidirectional: Bool = true, mayShareExpert: Bool = true,
        areExpertsUsual: Bool = false
    ) throws {
        dimensions = try Dimensions(&h)
        traits = try Traits(decoder: &h, bidirectional: bidirectional)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions, isListed: true)
        rotary = try RotaryEmbedding(
            &h, dimensions, headSize: attention.keySize, pairing: .normal, whole: true,
            scalings: [.linear, .none, .yarn, .longrope])
        feedForward = try h.feedForwardLength()
        var options = Experts.Options()
        options.declaresSize = false
        experts = try Experts.optional(
            &h, dimensions, options, feedForward: feedForward, isMostlyThere: areExpertsUsual)
        sharedExpert = mayShareExpert && experts != nil
            ? try h.integer(
                "expert_shared_feed_forward_length", 0...(1 << 20), fuzz: [0, 32, 64, 33, 1], default: 0,
                "hidden units of the expert that every token has; 0: there is none")
            : 0
        layers = Array(repeating: Layer(mask: traits.mask, isRotated: true), count: dimensions.layers)
    }

    /// Granite's keys. A factor of 0 means none, as files have it.
    static func graniteScales(_ h: inout some Hyperparameters) throws -> Scales {
        func factor(_ key: String, fuzz: [Double], _ about: String) throws -> Double? {
            let factor = try h.real(key, 0...1e6, fuzz: fuzz, default: 0, "\(about); 0: no factor")
            return factor == 0 ? nil : factor
        }
        let scales = Scales(
            embedding: try factor("embedding_scale", fuzz: [12, 1, 0, 0.5], "multiplies the token embedding") ?? 1,
            residual: try factor("residual_scale", fuzz: [0.25, 1, 0, 1.5], "multiplies what each part adds") ?? 1,
            attention: try factor(
                "attention.scale", fuzz: [0.25, 0.015625, 0, 1], "multiplies products of queries and keys"),
            logits: try h.real("logit_scale", 1e-6...1e6, fuzz: [1, 8, 0.5], "divides the logits"))
        try h.note("deepstack_mapping", "layers that features of an image are added to")
        return scales
    }

    public func build(_ g: GraphBuilder) {
        let rope = rotary.rope()
        // Files hold them though no layer may be rotated.
        let factors = rotary.factors(g)
        var tensors = Scope.ExpertTensors()
        tensors.mayFuseGateUp = fusesExperts
        var x = g.tokenEmbedding(dimensions) * scales.embedding
        for (layer, kind) in layers.enumerated() {
            let block = g.block(layer)
            let (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization))
            let sinks = hasSinks ? block.weight("attn_sinks.weight", [attention.heads[layer]], .sink) : nil
            let mixed = block.cachedAttention(
                q, k, v, scale: scales.attention ?? attention.scale, mask: kind.mask, rope: kind.isRotated ? rope : nil,
                factors: kind.isRotated ? factors : nil, sinks: sinks)
            x = x + block.linear("attn_output", mixed, dimensions.embedding, bias: .optional) * scales.residual
            let normed = block.norm("ffn_norm", x, normalization)
            guard let experts else {
                let fed = block.feedForward(normed, size: feedForward, .gated(.swiglu), bias: .optional)
                x = x + fed * scales.residual
                continue
            }
            var fed = block.mixture(normed, experts, tensors)
            if sharedExpert > 0 {
                fed = fed + block.feedForward(
                    normed, size: sharedExpert, .gated(.swiglu), suffix: "_shexp", isFused: fusesExperts)
            }
            x = x + fed * scales.residual
        }
        g.logits(x, dimensions, normalization, scale: 1 / scales.logits)
    }
}

/// An architecture that is a `ScaledDecoder` with keys of its own.
public protocol ScaledArchitecture: Architecture {
    var decoder: ScaledDecoder { get }
}

extension ScaledArchitecture {
    public var dimensions: Dimensions { decoder.dimensions }
    public var traits: Traits { decoder.traits }
    public func build(_ g: GraphBuilder) { decoder.build(g) }
}
