import Foundation
import ModelGraph

/// The language model of HunYuan-VL (HunyuanOCR): queries and keys are rotated, then normed; positions of four
/// sections; a base of the rotation that is stretched by `rope.scaling.alpha` (NTK-aware scaling). Source:
/// transformers, `HunYuanVLTextModel`; HunyuanOCR (2025), section 3.
public struct HunYuanVL: Architecture {
    public static let name = "hunyuan_vl"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let alpha: Double
    let feedForward: Int

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h)
        traits = try Traits(decoder: &h, takesEmbeddings: true)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions)
        rotary = try RotaryEmbedding(
            &h, dimensions, headSize: attention.keySize, pairing: .neox, whole: true,
            sections: PositionSections(.consecutive, count: 4, isOptional: true))
        // The exponent is of a head's size less 2.
        alpha = try h.real(
            "rope.scaling.alpha", 0...1e9, fuzz: attention.keySize > 2 ? [0, 1000, 2, 1] : [0], default: 0,
            "stretches the base of the rotation; 0: not")
        try h.require(
            alpha == 0 || attention.keySize > 2, "rope.scaling.alpha", "attention.key_length",
            because: "heads of 2 have no frequency that could be stretched")
        feedForward = try h.feedForwardLength()
    }

    /// Source: "NTK-aware scaled RoPE" (2023), which HunYuan's code applies for any length.
    private var base: Double {
        let size = Double(attention.keySize)
        return alpha == 0 ? rotary.base : rotary.base * pow(alpha, size / (size - 2))
    }

    public func build(_ g: GraphBuilder) {
        let rope = rotary.rope(base: base)
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization))
            let mixed = block.cachedAttention(
                normedAfterRotation: q, k, v, normalization, scale: attention.scale, mask: traits.mask, rope: rope)
            x = x + block.linear("attn_output", mixed, dimensions.embedding, bias: .rare)
            x = x + block.feedForward(block.norm("ffn_norm", x, normalization), size: feedForward, .gated(.swiglu))
        }
        g.logits(x, dimensions, normalization)
    }
}
