import ModelGraph

/// MiniMax-01 and MiniMax-M1: lightning attention, every few layers softmax attention, experts throughout; residuals
/// are the scaled outputs of the norms. Source: MiniMax-01 (2025), section 2; the code of its authors
/// (`MiniMaxText01ForCausalLM`).
public struct MiniMax01: Architecture {
    public static let name = "minimax-01"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let lightning: LightningAttention
    let isRecurrent: [Bool]
    let residualScale: Double
    let experts: Experts

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, layers: LayerLayouts.hybridDepths)
        traits = try Traits(decoder: &h, bidirectional: false)
        normalization = try Normalization(&h, .rms, inner: LightningAttention.normalization.epsilon)
        attention = try GroupedQueryAttention(&h, dimensions)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox)
        lightning = LightningAttention(heads: attention.heads[0], headSize: attention.keySize)
        isRecurrent = try h.recurrentLayers(dimensions, period: 8, "which layers are lightning attention")
        residualScale = try h.real("residual_scale", -1e6...1e6, fuzz: [1, 3.5, 0.5, 0], "multiplies residuals")
        let feedForward = try h.feedForwardLength("hidden units of an expert")
        var options = Experts.Options()
        options.declaresSize = false
        experts = try Experts(&h, dimensions, options, feedForward: feedForward)
    }

    public func build(_ g: GraphBuilder) {
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let normed = block.norm("attn_norm", x, normalization)
            let mixed = isRecurrent[layer]
                ? lightning.mix(block, layer, of: dimensions.layers, normed) : attend(block, layer, normed)
            x = block.linear("attn_output", mixed, dimensions.embedding) + normed * residualScale
            let fed = block.norm("ffn_norm", x, normalization)
            x = block.mixture(fed, experts, Scope.ExpertTensors()) + fed * residualScale
        }
        g.logits(x, dimensions, normalization)
    }

    private func attend(_ block: Scope, _ layer: Int, _ x: Value) -> Value {
        let (q, k, v) = attention.project(block, layer, x)
        return block.cachedAttention(q, k, v, scale: attention.scale, rope: rotary.rope())
    }
}
