import ModelGraph

/// dots3-note: latent attention with a gate for each head, of some layers to a window and of the others to the
/// positions that an indexer picks, each kind with sizes of its own; experts after leading dense layers.
///
/// Files hold the norms of latent vectors times what the authors multiply these by.
/// Source: `Dots3NoteForCausalLM` of transformers.
public struct Dots3Note: Architecture {
    public static let name = "dots3note"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    /// Of layers without and with a window.
    let attention: (indexed: MultiHeadLatentAttention, windowed: MultiHeadLatentAttention)
    let rotary: RotaryEmbedding.Windowed
    let windows: WindowPattern
    let indexer: LightningIndexer
    let networks: DenseThenExperts

    public init(_ h: inout some Hyperparameters) throws {
        typealias MLA = MultiHeadLatentAttention
        let sizes = 1...65536
        dimensions = try Dimensions(&h, layers: LayerLayouts.hybridDepths)
        let layers = dimensions.layers
        traits = try Traits(decoder: &h, bidirectional: false)
        normalization = try Normalization(&h, .rms)

        let window = try h.integer(
            "attention.sliding_window", 1...(1 << 30), fuzz: WindowPattern.lengths, "positions that a window holds")
        let isWindowed = try h.flags(
            "attention.sliding_window_pattern", layouts: LayerLayouts.mixtures(of: layers), layers: layers,
            "the layers with a window")
        windows = WindowPattern(isWindowed, window: .sliding(window))
        let indexed = isWindowed.map { !$0 }
        let isIndexed = try h.flags(
            "attention.indexer.types", layouts: [indexed], layers: layers, "the layers with an indexer: all others")
        try h.require(
            isIndexed == indexed, "attention.indexer.types", "attention.sliding_window_pattern",
            because: "a layer has either a window or an indexer")

        let counts = [4, 2, 1, 3, 5, 8]
        let kinds = counts.flatMap { count in
            [count, count % 5 + 1].map { other in isWindowed.map { $0 ? other : count } }
        }
        let heads = try h.integers(
            "attention.head_count", 1...4096, layouts: kinds, layers: layers, default: isWindowed.map { _ in 4 },
            "query heads, as many in all layers of a kind")
        func headCount(_ windowed: Bool) throws -> Int {
            let counts = Set(zip(isWindowed, heads).filter { $0.0 == windowed }.map(\.1))
            try h.require(
                counts.count < 2, "attention.head_count", because: "layers of one kind have \(counts.sorted()) heads")
            return counts.first ?? 1
        }
        let mla = try MLA(&h, heads: try headCount(false), form: .absorbed, compression: .always)
        let positional = mla.positional
        let latent = try h.integer(
            "attention.kv_lora_rank_swa", sizes, fuzz: MLA.latentSizes, "width of the latent vector, with a window")
        let keySize = try h.integer(
            "attention.key_length_mla_swa", (positional + 1)...65536, fuzz: MLA.contentSizes.map { $0 + positional },
            "size of a key head, with a window")
        let valueSize = try h.integer(
            "attention.value_length_mla_swa", sizes, fuzz: MLA.valueSizes, "size of a value head, with a window")
        let row = latent + positional
        _ = try h.integer("attention.key_length_swa", row...row, fuzz: [row], "size of a cached key, with a window")
        _ = try h.integer(
            "attention.value_length_swa", sizes, fuzz: [latent], "not used: the values are part of the cached keys")
        attention = (mla, MLA(
            heads: try headCount(true), queryRank: mla.queryRank, latentSize: latent, positional: positional,
            keySize: keySize, valueSize: valueSize, isAbsorbed: true))
        rotary = try RotaryEmbedding.Windowed(
            &h, RotaryEmbedding(&h, dimensions, rotated: positional, pairing: .normal, scalings: [.linear, .none]),
            isRequired: true)
        indexer = try LightningIndexer(&h, least: positional)

        networks = try DenseThenExperts(&h, dimensions, .deepSeek3, shared: .count, isCountRequired: true)
    }

    public func build(_ g: GraphBuilder) {
        var tensors = Scope.ExpertTensors()
        tensors.selectionBias = .required
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            x = x + block.linear(
                "attn_output", attend(block, layer, block.norm("attn_norm", x, normalization)), dimensions.embedding)
            let fed = block.norm("ffn_norm", x, normalization)
            if layer < networks.leadingDense {
                x = x + block.feedForward(fed, size: networks.feedForward, .gated(.swiglu))
            } else {
                x = x + block.mixture(fed, networks.experts, tensors)
                    + block.sharedExperts(fed, networks.shared)
            }
        }
        g.logits(x, dimensions, normalization)
    }

    private func attend(_ block: Scope, _ layer: Int, _ x: Value) -> Value {
        let isWindowed = windows.isWindowed(layer)
        let mla = isWindowed ? attention.windowed : attention.indexed
        let rope = rotary.rope(isWindowed: isWindowed)
        var options = MultiHeadLatentAttention.Options()
        options.normalization = normalization
        options.positionNormalization = normalization
        options.rope = { offset in
            var rope = rope
            rope.offset = offset
            return rope
        }
        let mixed = mla.attend(block, x, scale: mla.scale, mask: windows.masks[layer], options) { compressed, mask in
            isWindowed ? mask : indexer.select(block, x, compressed: compressed, mask: mask, rope: rope)
        }
        return block.outputGated(mixed, by: x, heads: mla.heads)
    }
}
