import ModelGraph

/// Qwen3-Next: gated delta nets with some layers of gated attention; experts beside a gated shared one throughout.
/// Source: Qwen team 2025 (Qwen3-Next).
public struct Qwen3Next: Architecture {
    public static let name = "qwen3next"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let deltaNet: GatedDeltaNet
    let isRecurrent: [Bool]
    let experts: Experts
    let shared: SharedExperts

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, layers: LayerLayouts.hybridDepths, predictionBlocks: true)
        traits = try Traits(decoder: &h, bidirectional: false, predictionBlocks: dimensions.predictionBlocks)
        normalization = try Normalization(&h, .rms, inner: Scope.unitEpsilon)
        attention = try GroupedQueryAttention(&h, dimensions)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox)
        deltaNet = try GatedDeltaNet(&h)
        let (layers, period) = (dimensions.layers, 4)
        let predicting = Array(repeating: false, count: dimensions.predictionBlocks)
        if let flags = try h.optionalFlags(
            "attention.recurrent_layers", layouts: LayerLayouts.mixtures(of: layers).map { $0 + predicting },
            layers: dimensions.blocks, "which layers are gated delta nets")
        {
            isRecurrent = flags
            try h.note("full_attention_interval", "which layers are attention, as the other key says it")
        } else {
            let interval = try h.integer(
                "full_attention_interval", 1...512, fuzz: Array(2...max(2, min(layers, 4))), default: period,
                drawsAbsence: layers >= period, "every so many layers, one is attention")
            isRecurrent = (1...layers).map { $0 % interval != 0 } + predicting
        }
        try h.require(
            !isRecurrent[layers...].contains(true), "attention.recurrent_layers", "nextn_predict_layers",
            because: "a block that predicts further tokens is attention")
        let feedForward = try h.feedForwardLength("hidden units from which absent sizes follow")
        var options = Experts.Options()
        options.sharesSize = true
        options.groups = true
        experts = try Experts(&h, dimensions, options, feedForward: feedForward)
        shared = try SharedExperts(&h, beside: experts, .size(default: feedForward), isGated: true)
    }

    public func build(_ g: GraphBuilder) { g.decoder(dimensions, normalization) { transform($0, $1, $2) } }

    /// One block: `[T, D] → [T, D]`.
    private func transform(_ block: Scope, _ layer: Int, _ x: Value) -> Value {
        var tensors = Scope.ExpertTensors()
        tensors.mayFuseGateUp = true
        let normed = block.norm("attn_norm", x, normalization)
        let x = x + (isRecurrent[layer] ? deltaNet.mix(block, normed, normalization) : attend(block, layer, normed))
        let mixed = block.norm("post_attention_norm", x, normalization)
        return x + block.mixture(mixed, experts, tensors, beside: shared)
    }

    private func attend(_ block: Scope, _ layer: Int, _ x: Value) -> Value {
        let (queriesAndGates, k, v) = attention.project(block, layer, x, gated: true)
        let size = attention.keySize
        let q = block.norm("attn_q_norm", queriesAndGates.columns(0, size), normalization)
        let mixed = block.cachedAttention(
            q, block.norm("attn_k_norm", k, normalization), v, scale: attention.scale, rope: rotary.rope())
        let gate = queriesAndGates.columns(size, size).reshaped(mixed.shape)
        return block.linear("attn_output", mixed * gate(.sigmoid), dimensions.embedding, bias: .rare)
    }
}
