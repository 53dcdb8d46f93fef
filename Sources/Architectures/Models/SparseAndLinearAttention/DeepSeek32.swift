import ModelGraph

/// DeepSeek-V3.2: DeepSeek-V3, whose attention goes to the positions that an indexer picks.
/// Source: DeepSeek-V3.2 (2025), section 2.1.
public struct DeepSeek32: Architecture {
    public static let name = "deepseek32"
    let decoder: LatentAttentionDecoder
    public var dimensions: Dimensions { decoder.dimensions }
    public var traits: Traits { decoder.traits }

    public init(_ h: inout some Hyperparameters) throws {
        var variant = LatentAttentionDecoder.Variant()
        variant.indexing = .neox
        decoder = try LatentAttentionDecoder(&h, try Dimensions(&h, predictionBlocks: true), variant)
    }

    public func build(_ g: GraphBuilder) { decoder.build(g) }
}

/// GLM-5: as DeepSeek-V3.2, with indexers in some layers, whose choice the layers after them share.
///
/// Files of GLM-5.2 that do not say which layers these are tell themselves by their context.
/// Source: `GlmMoeDsaForCausalLM` of transformers.
public struct GLMDSA: Architecture {
    public static let name = "glm-dsa"
    let decoder: LatentAttentionDecoder
    public var dimensions: Dimensions { decoder.dimensions }
    public var traits: Traits { decoder.traits }

    public init(_ h: inout some Hyperparameters) throws {
        var variant = LatentAttentionDecoder.Variant()
        variant.defaultGating = .sigmoid
        variant.indexing = .normal
        variant.indexedLayers = { dimensions in
            // From the third on, each fourth.
            (0..<dimensions.layers).map { dimensions.context < 1 << 20 || $0 < 2 || $0 % 4 == 2 }
        }
        decoder = try LatentAttentionDecoder(&h, try Dimensions(&h, predictionBlocks: true), variant)
    }

    public func build(_ g: GraphBuilder) { decoder.build(g) }
}
