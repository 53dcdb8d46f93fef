import Foundation
import ModelGraph

/// Apertus: normed queries and keys, and a feed-forward network without a gate, activated by xIELU with parameters of
/// each layer.
/// Sources: Apertus technical report (2025), section 2.1; `ApertusForCausalLM` of transformers.
public struct Apertus: Architecture {
    public static let name = "apertus"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let feedForward: Int
    /// Of each layer.
    let activations: [XIELU]

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h)
        traits = try Traits(decoder: &h)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions)
        rotary = try RotaryEmbedding(
            &h, dimensions, headSize: attention.keySize, pairing: .neox, whole: true,
            scalings: [.linear, .none, .yarn, .longrope])
        feedForward = try h.feedForwardLength()
        let layers = dimensions.layers
        func softplus(_ x: Double) -> Double { max(x, 0) + log1p(exp(-abs(x))) }
        let beta = try h.reals("xielu.beta", -100...100, fuzz: [0.5, 1, 0], layers: layers, "slope of xIELU at 0")
        let positive = try h.reals(
            "xielu.alpha_p", -100...100, fuzz: [0.2, 1, -1, 0], layers: layers,
            "curve of xIELU's positive half, before softplus")
        let negative = try h.reals(
            "xielu.alpha_n", -100...100, fuzz: [-0.9, 1, 0], layers: layers,
            "curve of xIELU's negative half, before softplus and without beta")
        let epsilon = try h.reals(
            "xielu.eps", -1...1, fuzz: [-1e-6, 0], layers: layers, "above which xIELU's exponential is constant")
        activations = (0..<layers).map {
            XIELU(
                positive: softplus(positive[$0]), negative: beta[$0] + softplus(negative[$0]), beta: beta[$0],
                epsilon: epsilon[$0])
        }
    }

    public func build(_ g: GraphBuilder) {
        let factors = rotary.factors(g)
        let rope = rotary.rope()
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization))
            let mixed = block.cachedAttention(
                block.norm("attn_q_norm", q, normalization), block.norm("attn_k_norm", k, normalization), v,
                scale: attention.scale, mask: traits.mask, rope: rope, factors: factors)
            x = x + block.linear("attn_output", mixed, dimensions.embedding, bias: .optional)
            let up = block.linear("ffn_up", block.norm("ffn_norm", x, normalization), feedForward)
            x = x + block.linear("ffn_down", g.apply(.xielu(activations[layer]), up), dimensions.embedding)
        }
        g.logits(x, dimensions, normalization, tying: .rarely)
    }
}
