import ModelGraph

/// DeepSeek-V2 and V3, Kimi K2, GLM-4.7-Flash and others: latent attention, leading dense layers, then experts in
/// groups beside shared ones, or dense layers alone. Sources: DeepSeek-V2 (2024); DeepSeek-V3 technical report (2024).
public struct DeepSeek2: Architecture {
    public static let name = "deepseek2"
    let decoder: LatentAttentionDecoder
    public var dimensions: Dimensions { decoder.dimensions }
    public var traits: Traits { decoder.traits }

    public init(_ h: inout some Hyperparameters) throws {
        let dimensions = try Dimensions(&h, predictionBlocks: true)
        // Files of GLM-4.7-Flash did not say it at first.
        let isFlash = [47, 48].contains(dimensions.layers) && dimensions.vocabulary == 154_880
        var variant = LatentAttentionDecoder.Variant(ofDeepSeek2: dimensions)
        variant.defaultGating = isFlash ? .sigmoid : .softmax
        variant.tensors.mayScoreGroupsByBest = true
        decoder = try LatentAttentionDecoder(&h, dimensions, variant)
    }

    public func build(_ g: GraphBuilder) { decoder.build(g) }
}

/// Mistral 4: as DeepSeek-V3, with queries that grow with the position.
/// Source: `Mistral4ForCausalLM` of transformers.
public struct Mistral4: Architecture {
    public static let name = "mistral4"
    let decoder: LatentAttentionDecoder
    public var dimensions: Dimensions { decoder.dimensions }
    public var traits: Traits { decoder.traits }

    public init(_ h: inout some Hyperparameters) throws {
        let dimensions = try Dimensions(&h, predictionBlocks: true)
        decoder = try LatentAttentionDecoder(&h, dimensions, .init(ofDeepSeek2: dimensions))
    }

    public func build(_ g: GraphBuilder) { decoder.build(g) }
}

extension LatentAttentionDecoder.Variant {
    fileprivate init(ofDeepSeek2 dimensions: Dimensions) {
        self.init()
        form = .either
        // Released models of these sizes compress no queries, and some of their files say otherwise.
        let isLite = [26, 27].contains(dimensions.layers) || dimensions.layers == 48 && dimensions.vocabulary == 128_256
        compression = isLite ? .never : .optional
        bias = .rare
        hasTemperature = true
        gatings = [.softmax, .sigmoid, .softmaxOfSelected]
        defaultGating = .softmax
        mayBeDense = true
        tensors.mayFuseGateUp = true
    }
}
