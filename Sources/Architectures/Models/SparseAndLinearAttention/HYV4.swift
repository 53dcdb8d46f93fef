import ModelGraph

/// Hy4: several residual streams, gated latent attention with sinks to the positions that an indexer picks, and experts
/// after leading dense layers.
/// Source: `HYV4ForCausalLM` of transformers.
public struct HYV4: Architecture {
    public static let name = "hy_v4"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: MultiHeadLatentAttention
    let rotary: RotaryEmbedding
    /// nil: attention goes to all positions.
    let indexer: LightningIndexer?
    let isIndexed: [Bool]
    let connections: IndependentHyperConnections
    let networks: DenseThenExperts
    /// Of experts' activations in each layer; 0: none.
    let limits: [Double]

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h)
        traits = try Traits(decoder: &h, bidirectional: false)
        normalization = try Normalization(&h, .rms, inner: MultiHeadLatentAttention.normalization.epsilon)
        let heads = try MultiHeadLatentAttention.heads(&h)
        attention = try MultiHeadLatentAttention(&h, heads: heads, form: .absorbed, compression: .always)
        rotary = try RotaryEmbedding(
            &h, dimensions, rotated: attention.positional, pairing: .neox, scalings: [.linear, .none])
        let picks = try h.integer(
            "attention.indexer.top_k", 0...(1 << 30), fuzz: LightningIndexer.counts + [0], default: 0,
            drawsAbsence: false, "positions that each token may attend to; 0: all")
        indexer = picks == 0 ? nil : try LightningIndexer(&h, least: attention.positional + 1, count: picks)
        isIndexed = indexer == nil ? [] : try LightningIndexer.layers(&h, dimensions)
        connections = try IndependentHyperConnections(&h)
        networks = try DenseThenExperts(&h, dimensions, .deepSeek3, shared: .count)
        limits = try h.reals(
            "swiglu_clamp_exp", 0...1e6, fuzz: [10, 0, 1, 0.25], layers: dimensions.layers, default: 0,
            "limit of experts' activations; 0: none")
    }

    public func build(_ g: GraphBuilder) {
        var choice: Value?
        var streams = connections.expanded(g.tokenEmbedding(dimensions))
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            streams = connections.applied(block, "hc_attn", streams, normalization) { x in
                attend(block, layer, block.norm("attn_norm", x, normalization), &choice)
            }
            streams = connections.applied(block, "hc_ffn", streams, normalization) { x in
                feed(block, layer, block.norm("ffn_norm", x, normalization))
            }
        }
        let x = connections.collapsed(g.model, "output_hc", streams, normalization)
        g.logits(x, dimensions, normalization, tying: .never)
    }

    private func attend(_ block: Scope, _ layer: Int, _ x: Value, _ choice: inout Value?) -> Value {
        var options = MultiHeadLatentAttention.Options()
        options.rope = { rotary.rope(offset: $0) }
        options.sinks = block.weight("attn_sinks.weight", [attention.heads], .sink)
        let mixed = attention.attend(block, x, scale: attention.scale, options) { compressed, mask in
            guard let indexer else { return mask }
            if !isIndexed[layer], let choice { return choice }
            // The trailing elements are those that are rotated, as in attention.
            let rope = rotary.rope(offset: indexer.headSize - attention.positional)
            let norm = Normalization(.layer, epsilon: normalization.epsilon, bias: .required)
            let picked = indexer.select(block, x, compressed: compressed, mask: mask, rope: rope, norm)
            choice = picked
            return picked
        }
        return block.linear("attn_output", block.outputGated(mixed, by: x), dimensions.embedding)
    }

    private func feed(_ block: Scope, _ layer: Int, _ x: Value) -> Value {
        if layer < networks.leadingDense { return block.feedForward(x, size: networks.feedForward, .gated(.swiglu)) }
        var tensors = Scope.ExpertTensors()
        tensors.selectionBias = .optional
        tensors.activation = .swiglu(limit: limits[layer]) { .limited(.swiglu, $0) }
        return block.mixture(x, networks.experts, tensors)
            + block.sharedExperts(x, networks.shared)
    }
}
