import ModelGraph

/// ARWKV-7: Qwen2.5 with RWKV-7's time mixing, its gate and head norm optional, in place of attention.
/// Sources: Yueyu et al. 2025 (ARWKV); the code of its authors (`RwkvHybridForCausalLM`).
public struct ARWKV7: Architecture {
    public static let name = "arwkv7"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let timeMixing: GeneralisedDeltaRule
    let feedForward: Int

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(ofHeadedWidth: &h)
        traits = try Traits(decoder: &h, bidirectional: false)
        normalization = try Normalization(&h, .rms)
        timeMixing = try GeneralisedDeltaRule(&h, dimensions, mayLackGate: true)
        _ = try h.integer("token_shift_count", 1...1, fuzz: [1], "token shifts of a block")
        feedForward = try h.feedForwardLength()
    }

    public func build(_ g: GraphBuilder) {
        var x = g.tokenEmbedding(dimensions)
        var firstValues: Value?
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let normed = block.norm("attn_norm", x, normalization)
            x = x + timeMixing.mix(block, normed, &firstValues, mayLackHeadNorm: true)
            x = x + block.feedForward(block.norm("ffn_norm", x, normalization), size: feedForward, .gated(.swiglu))
        }
        g.logits(x, dimensions, normalization, tying: .never)
    }
}
