import ModelGraph

/// GLM-5.3: Kimi delta attention, some layers of latent attention without positions to the windows that an indexer
/// picks, and experts after leading dense layers, with hyper-connections in place of residuals. Source:
/// `Glm5NextForConditionalGeneration`, the code of its authors in transformers; its prediction blocks, which that
/// leaves out, have plain residuals, as the tensors of files say.
public struct GLM5Next: Architecture {
    public static let name = "glm5-next"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let isRecurrent: [Bool]
    let attention: MultiHeadLatentAttention
    let deltaAttention: KimiDeltaAttention
    let indexer: PooledIndexer
    /// Other layers of attention attend to what the last of these before them picked.
    let isIndexed: [Bool]
    let connections: ManifoldHyperConnections
    let networks: DenseThenExperts
    /// Bounds of what gates and inputs make in each block, of experts and of all others; 0: none.
    let expertLimits, sharedLimits: [Double]

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, layers: LayerLayouts.hybridDepths, predictionBlocks: true)
        traits = try Traits(decoder: &h, bidirectional: false, predictionBlocks: dimensions.predictionBlocks)
        normalization = try Normalization(&h, .rms)
        try h.note("attention.layer_norm_epsilon", "of the indexer's norms, 1e-6 whatever it says")
        let heads = try MultiHeadLatentAttention.heads(&h)
        isRecurrent = try LayerLayouts.recurrentLayers(&h, dimensions)
        attention = try MultiHeadLatentAttention(
            &h, heads: heads, form: .absorbed, compression: .always, sharing: .none, isEverywhere: false)
        try h.note("rope.freq_base", "nothing is rotated")
        var variant = KimiDeltaAttention.Variant()
        variant.bounding = .optional
        variant.hasDecayColumn = false
        deltaAttention = try KimiDeltaAttention(&h, heads: heads, variant)
        indexer = try PooledIndexer(&h)
        let isAttention = isRecurrent.prefix(dimensions.layers).map { !$0 }
        isIndexed = try LightningIndexer.layers(
            &h, dimensions, default: isAttention.map { _ in true }, among: isAttention)
        connections = try ManifoldHyperConnections(&h, dimensions, normalization)
        var options = Experts.Options.deepSeek3
        options.defaultGating = .sigmoid
        networks = try DenseThenExperts(&h, dimensions, options, shared: .count)
        let bounds = [10, 0, 1, 0.5], valid = 0...1e6
        expertLimits = try h.reals(
            "swiglu_clamp_exp", valid, fuzz: bounds, layers: dimensions.blocks, default: 0,
            "bound of what experts' gates and inputs are; 0: none")
        sharedLimits = try h.reals(
            "swiglu_clamp_shexp", valid, fuzz: bounds, layers: dimensions.blocks, default: expertLimits,
            "the same of all others")
    }

    public func build(_ g: GraphBuilder) {
        var choice: Value?
        if case .predict(let number) = g.batch.stage {
            return g.prediction(number, dimensions, normalization) { block, layer, x in
                let x = x + mix(block, layer, x, &choice)
                return x + feed(block, layer, x)
            }
        }
        var x = connections.begin(g.tokenEmbedding(dimensions))
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            x = connections.around(block, "hc_attn", x) { mix(block, layer, $0, &choice) }
            x = connections.around(block, "hc_ffn", x) { feed(block, layer, $0) }
        }
        g.logits(connections.mean(x), dimensions, normalization, tying: .never)
    }

    /// - Parameter choice: the positions that the last indexer picked.
    private func mix(_ block: Scope, _ layer: Int, _ x: Value, _ choice: inout Value?) -> Value {
        let normed = block.norm("attn_norm", x, normalization)
        let mixed: Value
        if isRecurrent[layer] {
            mixed = deltaAttention.mix(block, normed, normalization)
        } else {
            var options = MultiHeadLatentAttention.Options()
            options.normalization = normalization
            mixed = attention.attend(block, normed, scale: attention.scale, options) { compressed, mask in
                // The blocks that predict further tokens have indexers of their own.
                if layer < dimensions.layers, !isIndexed[layer], let choice { return choice }
                let picked = indexer.select(block, normed, compressed: compressed, mask: mask)
                choice = picked
                return picked
            }
        }
        return block.linear("attn_output", mixed, dimensions.embedding)
    }

    private func feed(_ block: Scope, _ layer: Int, _ x: Value) -> Value {
        let fed = block.norm("ffn_norm", x, normalization)
        let activation = Activation.swiglu(limit: sharedLimits[layer]) { .limited(.swiglu, $0) }
        guard networks.hasExperts(layer) else { return block.feedForward(fed, size: networks.feedForward, activation) }
        var tensors = Scope.ExpertTensors()
        tensors.selectionBias = .required
        tensors.activation = .swiglu(limit: expertLimits[layer]) { .limited(.swiglu, $0) }
        return block.mixture(fed, networks.experts, tensors) + block.sharedExperts(fed, networks.shared, activation)
    }
}
