import ModelGraph

/// Llama 4: attention in chunks, every few layers over everything and without positions; experts every few
/// layers, beside a shared one and weighed by sigmoids on their input.
/// Source: Llama 4 reference code (2025).
public struct Llama4: Architecture {
    public static let name = "llama4"
    /// Positions of a chunk, and of one step of the attention temperature: no key holds it.
    static let chunk = 8192

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding.Windowed
    let windows: WindowPattern
    /// Every so many layers, one has no positions; nil: all have.
    let unrotatedStep: Int?
    let feedForward: Int
    let experts: Experts
    /// Every so many layers, one has experts; 0: none has.
    let expertStep: Int

    public init(_ h: inout some Hyperparameters) throws {
        // Four layers are the fewest of which one has no positions, without which engines stumble.
        dimensions = try Dimensions(&h, layers: [4, 5])
        traits = try Traits(decoder: &h, bidirectional: false)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions)
        let whole = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .normal, whole: true)
        let window = try h.integer(
            "attention.sliding_window", 0...Self.chunk, fuzz: [Self.chunk], default: Self.chunk,
            "0: no layer has chunks, and all are rotated")
        try h.require(
            [0, Self.chunk].contains(window), "attention.sliding_window",
            because: "is neither 0 nor \(Self.chunk), the one length of chunks that engines know")
        rotary = try RotaryEmbedding.Windowed(&h, whole)
        windows = window == 0
            ? WindowPattern(unlimited: dimensions)
            : try WindowPattern(&h, dimensions, window: .chunked(Self.chunk), period: 4)
        unrotatedStep = window == 0 ? nil : 4
        feedForward = try h.feedForwardLength("hidden units of a dense block")
        expertStep = try h.integer(
            "interleave_moe_layer_step", 0...512, fuzz: [1, 2, 3, 0],
            "every so many blocks, one has experts; 0: none has")
        var options = Experts.Options()
        options.gatings = [.sigmoid]
        options.normalizes = false
        options.groups = true
        experts = try Experts(&h, dimensions, options, feedForward: feedForward)
    }

    /// The model of 128 experts norms no queries and keys, which no key says.
    private var normsQueries: Bool { experts.count != 128 }

    public func build(_ g: GraphBuilder) {
        let factors = rotary.rotary.factors(g)
        var tensors = Scope.ExpertTensors()
        tensors.weighsInput = true
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            var (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization))
            var rotation: State.Rotation?
            if unrotatedStep.map({ (layer + 1) % $0 != 0 }) ?? true {
                let rope = rotary.rope(isWindowed: windows.isWindowed(layer))
                rotation = g.rotation(rope, factors: factors)
                (q, k) = (q.rotated(rope, factors: factors), k.rotated(rope, factors: factors))
                if normsQueries { (q, k) = (q.norm(.rms, normalization.epsilon), k.norm(.rms, normalization.epsilon)) }
            } else {
                q = q * g.applyShared(
                    .attentionTemperature(scale: 0.1, length: Double(Self.chunk), offset: 1), g.positions)
            }
            let mixed = block.cachedAttention(
                q, k, v, scale: attention.scale, mask: windows.masks[layer], rotation: rotation)
            x = x + block.linear("attn_output", mixed, dimensions.embedding, bias: .rare)
            let normed = block.norm("ffn_norm", x, normalization)
            if expertStep > 0, (layer + 1) % expertStep == 0 {
                x = x + block.mixture(normed, experts, tensors)
                    + block.feedForward(normed, size: experts.size, .gated(.swiglu), suffix: "_shexp")
            } else {
                x = x + block.feedForward(normed, size: feedForward, .gated(.swiglu))
            }
        }
        g.logits(x, dimensions, normalization)
    }
}
