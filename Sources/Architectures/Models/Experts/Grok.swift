import ModelGraph

/// Grok: norms before and after each part, softcapped scores and routers, GeGLU experts; in Grok-2 beside a dense
/// network.
///
/// Absent keys mean Grok-1's values, which files of it did not hold at first. Grok-2's growth of scores with the
/// position is refused. Sources: xAI 2024, `model.py` of the grok-1 repository; `grok.py` of SGLang, in which xAI
/// published Grok-2.
public struct Grok: Architecture {
    public static let name = "grok"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let scoreScale: Double
    let scoreCap: Double
    let rotary: RotaryEmbedding
    let feedForward: Int
    let experts: Experts
    let routerCap: Double
    let embeddingScale: Double
    let logitScale: Double
    let logitCap: Double

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, embeddings: Domains.evenSizes)
        traits = try Traits(decoder: &h)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions, headSize: .splitEmbedding)
        scoreScale = try h.real(
            "attention.output_scale", 0...1e6, fuzz: [0.088388346, 1, 0.25], default: 0.088388346,
            "multiplies the attention scores")
        scoreCap = try h.real(
            "attn_logit_softcapping", 1e-3...1e6, fuzz: [30, 1, 5], default: 30, "bound of the attention scores")
        _ = try h.integer(
            "attention.temperature_length", 0...0, fuzz: [0], default: 0,
            "positions from which on scores grow: not supported")
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox, whole: true)
        feedForward = try h.feedForwardLength(
            "hidden units of the dense network, and of an expert where the next key is absent")
        var options = Experts.Options()
        options.normalizes = false
        options.inheritsSize = true
        experts = try Experts(&h, dimensions, options, feedForward: feedForward)
        routerCap = try h.real(
            "router_logit_softcapping", 1e-3...1e6, fuzz: [30, 1, 5], default: 30, "bound of the router's logits")
        embeddingScale = try h.real(
            "embedding_scale", 1e-6...1e6, fuzz: [78.38367, 1, 0.5], default: 78.38367,
            "multiplies the embeddings of tokens")
        logitScale = try h.real(
            "logit_scale", 0...1e6, fuzz: [0.57735026, 1, 2.5], default: 0.57735026, "multiplies the logits")
        logitCap = try h.real(
            "final_logit_softcapping", 0...1e6, fuzz: [0, 30, 5, 1], default: 0, "bound of the logits; 0: none")
    }

    public func build(_ g: GraphBuilder) {
        let rope = rotary.rope()
        var tensors = Scope.ExpertTensors()
        tensors.activation = .gated(.geglu)
        tensors.routerSoftcap = routerCap
        var x = g.tokenEmbedding(dimensions) * embeddingScale
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization))
            let mixed = block.cachedAttention(
                q, k, v, scale: scoreScale, mask: traits.mask, rope: rope, softcap: scoreCap)
            x = x + block.norm(
                "attn_output_norm", block.linear("attn_output", mixed, dimensions.embedding), normalization)
            let normed = block.norm("ffn_norm", x, normalization)
            var fed = block.mixture(normed, experts, tensors)
            if block.has("ffn_up.weight") {
                fed = (block.feedForward(normed, size: feedForward, tensors.activation) + fed) * 0.5.squareRoot()
            }
            // Grok-1's files and Grok-2's call it differently.
            let last = block.has("layer_output_norm.weight") ? "layer_output_norm" : "post_ffw_norm"
            x = x + block.norm(last, fed, normalization)
        }
        g.logits(x, dimensions, normalization, scale: logitScale, softcap: logitCap == 0 ? nil : logitCap)
    }
}
