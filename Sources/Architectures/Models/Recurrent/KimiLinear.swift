import ModelGraph

/// Kimi Linear: Kimi delta attention with some layers of latent attention without positions; experts after leading dense layers.
/// Source: Kimi Linear 2025, sections 3 and 4.
public struct KimiLinear: Architecture {
    public static let name = "kimi-linear"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let isRecurrent: [Bool]
    let attention: MultiHeadLatentAttention
    let deltaAttention: KimiDeltaAttention
    let networks: DenseThenExperts

    public init(_ h: inout some Hyperparameters) throws {
        typealias MLA = MultiHeadLatentAttention
        let sizes = 1...65536
        dimensions = try Dimensions(&h, layers: LayerLayouts.hybridDepths)
        traits = try Traits(decoder: &h, bidirectional: false)
        normalization = try Normalization(&h, .rms, inner: MultiHeadLatentAttention.normalization.epsilon)
        let heads = try h.integer("attention.head_count", 1...4096, fuzz: [4, 2, 1, 3, 5, 8], "heads")
        isRecurrent = try h.integers(
            "attention.head_count_kv", 0...1, layouts: LayerLayouts.mixtures(of: dimensions.layers).flatMap { LayerLayouts.values([1], where: $0) },
            layers: dimensions.layers, default: Array(repeating: 1, count: dimensions.layers),
            "heads of the cache of latent attention; 0: the layer is delta attention").map { $0 == 0 }

        let latent = try h.integer("attention.kv_lora_rank", sizes, fuzz: MLA.latentSizes, "width of the latent vector")
        let positional = try h.integer("rope.dimension_count", sizes, fuzz: MLA.positionalSizes, "elements of each key that all heads share")
        let keySize = try h.integer("attention.key_length_mla", sizes, fuzz: MLA.contentSizes.map { $0 + positional }, "size of a key head")
        let valueSize = try h.integer("attention.value_length_mla", sizes, fuzz: MLA.valueSizes, "size of a value head")
        attention = MLA(
            heads: heads, queryRank: 0, latentSize: latent, positional: positional, keySize: keySize, valueSize: valueSize)
        try h.require(
            attention.contentSize > 0, "attention.key_length_mla", "rope.dimension_count",
            because: "\(positional) shared elements leave nothing of key heads of \(keySize)")
        let row = attention.cacheRow
        let cached = try h.integer("attention.key_length", sizes, fuzz: [row], "size of a cached key")
        // Engines cache no values, and the released model's file has its width over its heads here.
        _ = try h.integer(
            "attention.value_length", sizes, fuzz: [latent], "not used: the values are part of the cached keys")
        try h.require(
            cached == row, "attention.key_length", "attention.kv_lora_rank", "rope.dimension_count",
            because: "the cache of latent attention has rows of \(row)")

        try h.note("rope.freq_base", "nothing is rotated")
        deltaAttention = try KimiDeltaAttention(&h, heads: heads)
        var options = Experts.Options()
        options.gatings = [.sigmoid, .softmax, .softmaxOfSelected]
        options.declaresScale = true
        options.groups = true
        options.normalizationEpsilon = 1e-20
        networks = try DenseThenExperts(&h, dimensions, options, shared: .count)
    }

    public func build(_ g: GraphBuilder) {
        var tensors = Scope.ExpertTensors()
        tensors.selectionBias = .required
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let normed = block.norm("attn_norm", x, normalization)
            let mixed = isRecurrent[layer]
                ? deltaAttention.mix(block, normed, normalization)
                : attention.attend(
                    block, normed, isAbsorbed: true, scale: 1 / Double(attention.keySize).squareRoot())
            x = x + block.linear("attn_output", mixed, dimensions.embedding)
            x = x + networks.feed(block, layer, block.norm("ffn_norm", x, normalization), tensors)
        }
        g.logits(x, dimensions, normalization, tying: .rarely)
    }
}
