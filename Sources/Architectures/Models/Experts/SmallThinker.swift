import ModelGraph

/// SmallThinker: a router that sees a block's input before its attention, experts with ReLU gates; windows in three of
/// four layers, the others without positions.
///
/// That every fourth layer from the first on is not rotated, where there are windows, no key says.
/// Sources: SmallThinker technical report (2025), section 2; the authors' `modeling_smallthinker.py`.
public struct SmallThinker: Architecture {
    public static let name = "smallthinker"
    /// Every so many layers, one has neither a window nor positions, the first of them.
    static let period = 4

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding.Windowed
    let windows: WindowPattern
    let hasWindows: Bool
    let experts: Experts

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, layers: [2, 1, 3, 4, 5])
        traits = try Traits(decoder: &h, bidirectional: false)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions)
        rotary = try RotaryEmbedding.Windowed(
            &h, RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox, whole: true))
        let window = try h.integer(
            "attention.sliding_window", 0...(1 << 30), fuzz: [0, 4096] + WindowPattern.lengths, default: 0,
            "positions that a window holds; 0: no windows")
        windows = window == 0
            ? WindowPattern(unlimited: dimensions)
            : try WindowPattern(&h, dimensions, window: .sliding(window), period: Self.period, wholeFirst: true)
        hasWindows = window > 0
        try h.note("feed_forward_length", "every feed-forward network is an expert")
        var options = Experts.Options()
        options.gatings = [.sigmoid, .softmax]
        options.groups = true
        experts = try Experts(&h, dimensions, options, feedForward: 0)
    }

    public func build(_ g: GraphBuilder) {
        var tensors = Scope.ExpertTensors()
        tensors.activation = .product(.relu)
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let input = x
            let isRotated = !hasWindows || layer % Self.period != 0
            let (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization))
            let mixed = block.cachedAttention(
                q, k, v, scale: attention.scale, mask: windows.masks[layer],
                rope: isRotated ? rotary.rope(isWindowed: windows.isWindowed(layer)) : nil)
            x = x + block.linear("attn_output", mixed, dimensions.embedding)
            x = x + block.mixture(block.norm("ffn_norm", x, normalization), experts, tensors, scored: input)
        }
        g.logits(x, dimensions, normalization)
    }
}
