import ModelGraph

/// ModernBERT: an encoder with norms before each part, rotated positions, windows in two of three layers that reach as
/// far either way, and a gated activation whose two matrices are one. The first block has no norm before attention.
/// Sources: Warner et al. 2024, section 2; `ModernBertModel` of transformers, which the authors maintain.
public struct ModernBERT: Architecture {
    public static let name = "modern-bert"

    public let dimensions: Dimensions
    public var traits: Traits { text.traits }
    let text: TextEncoder
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let windows: WindowPattern
    let windowedBase: Double
    let feedForward: Int
    let activation: Activation

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, embeddings: Domains.evenSizes, layers: [2, 3, 4, 1])
        normalization = try Normalization(&h, .layer)
        attention = try GroupedQueryAttention(&h, dimensions, headSize: .splitEmbedding, grouping: .never)
        rotary = try RotaryEmbedding(
            &h, dimensions, headSize: attention.keySize, pairing: .neox, scalings: [.none, .linear])
        let window = try h.integer(
            "attention.sliding_window", 0...(1 << 30), fuzz: WindowPattern.lengths, default: 0,
            "positions that a window holds, half of them to each side; 0: no windows")
        windows = window == 0
            ? WindowPattern(unlimited: dimensions, causal: false)
            : try WindowPattern(ofEncoder: &h, dimensions, length: window, period: 3, startsUnlimited: true)
        windowedBase = window == 0 ? rotary.base : try h.real(
            "rope.freq_base_swa", 1...1e12, fuzz: [10_000, 100, 1_000_000], default: 10_000,
            "base of the rotation frequencies of layers with a window")
        feedForward = try h.feedForwardLength()
        let function = try h.text(
            "hidden_activation", among: ["gelu", "silu", "relu", "gelu_pytorch_tanh"], default: "gelu",
            "activation of a gate")
        activation = switch function {
        case "silu": .gated(.swiglu)
        case "relu": .product(.relu)
        case "gelu_pytorch_tanh": .gated(.geglu)
        default: .product(.geluErf)
        }
        text = try TextEncoder(&h, classifies: true, classifierPooling: .mean)
    }

    public func build(_ g: GraphBuilder) {
        let width = dimensions.embedding
        // The authors' code stretches both kinds of layers or either; a file has one scaling, which is that of layers
        // without a window, but for the magnitude.
        let windowed = Rope(
            pairing: .neox, dimensions: rotary.dimensions, base: windowedBase, magnitude: rotary.attentionFactor)
        var x = g.model.norm("token_embd_norm", g.tokenEmbedding(dimensions), normalization)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let isNormed = layer > 0 || block.optionalWeight("attn_norm.weight", [width], .scale, presence: .few) != nil
            let normed = isNormed ? block.norm("attn_norm", x, normalization) : x
            let (q, k, v) = attention.project(block, layer, normed, fused: .always, bias: .none)
            let rope = windows.isWindowed(layer) ? windowed : rotary.rope()
            let mixed = block.batchAttention(
                q.rotated(rope), k.rotated(rope), v, scale: attention.scale, mask: windows.masks[layer])
            x = x + block.linear("attn_output", mixed, width)
            x = x + block.fusedFeedForward(block.norm("ffn_norm", x, normalization), size: feedForward, activation)
        }
        let head = text.classifier(g, width: width, .geluErf, bias: .none, normalization)
        g.embeddings(x, head: head) { g.model.norm("output_norm", $0, normalization) }
    }
}
