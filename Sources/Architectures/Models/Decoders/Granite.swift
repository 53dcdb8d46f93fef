import ModelGraph

/// Granite 3 and 4, dense: Llama with factors of the embedding, the residuals, the scores and the logits; in Granite 4
/// also without positions.
/// Sources: Granite 3.0 technical report (2024), section 2; `GraniteForCausalLM` of transformers.
public struct Granite: ScaledArchitecture {
    public static let name = "granite"
    public let decoder: ScaledDecoder

    public init(_ h: inout some Hyperparameters) throws {
        decoder = try ScaledDecoder(&h).granite(&h)
    }
}

/// Granite with experts, and one more that every token may have.
/// Source: `GraniteMoeForCausalLM` and `GraniteMoeSharedForCausalLM` of transformers.
public struct GraniteMoE: ScaledArchitecture {
    public static let name = "granitemoe"
    public let decoder: ScaledDecoder

    public init(_ h: inout some Hyperparameters) throws {
        decoder = try ScaledDecoder(&h, areExpertsUsual: true).granite(&h, mayLackPositions: false)
    }
}

/// Granite with windows and attention sinks, dense or with experts; which layers have positions is another pattern.
/// Source: `GraniteSWAForCausalLM` and `GraniteMoeSWAForCausalLM` of transformers.
public struct GraniteSWA: ScaledArchitecture {
    public static let name = "granite_swa"
    public let decoder: ScaledDecoder

    public init(_ h: inout some Hyperparameters) throws {
        var decoder = try ScaledDecoder(&h, bidirectional: false)
        decoder.scales = try ScaledDecoder.graniteScales(&h)
        decoder.hasSinks = true
        decoder.fusesExperts = true
        let masks = try WindowPattern.flagged(&h, decoder.dimensions)
        let layers = masks.count
        let alike = [true, false].map { Array(repeating: $0, count: layers) }
        let mixtures = layers > 1 ? LayerLayouts.mixtures(of: layers) : []
        let rotates = try h.optionalFlags(
            "attention.rope_pattern", layouts: alike + mixtures, layers: layers,
            "which layers have positions; absent: all") ?? alike[0]
        decoder.layers = zip(masks, rotates).map { ScaledDecoder.Layer(mask: $0, isRotated: $1) }
        self.decoder = decoder
    }
}

extension ScaledDecoder {
    /// With Granite's factors, and its switch of positions.
    fileprivate consuming func granite(
        _ h: inout some Hyperparameters, mayLackPositions: Bool = true
    ) throws -> ScaledDecoder {
        var decoder = self
        decoder.scales = try ScaledDecoder.graniteScales(&h)
        guard mayLackPositions else { return decoder }
        let isRotated = try h.boolean(
            "rope.scaling.finetuned", among: [true, false], default: true, isRare: true, "whether there are positions")
        for layer in decoder.layers.indices { decoder.layers[layer].isRotated = isRotated }
        return decoder
    }
}
