import ModelGraph

/// Orion: Llama with layer norms.
/// Source: Chen et al. 2024, section 3.
public struct Orion: Architecture {
    public static let name = "orion"
    let decoder: PreNormDecoder
    public var dimensions: Dimensions { decoder.dimensions }
    public var traits: Traits { decoder.traits }

    public init(_ h: inout some Hyperparameters) throws {
        decoder = try PreNormDecoder(&h, .init(norm: .layer, normBias: .required))
    }
    public func build(_ g: GraphBuilder) { decoder.build(g) }
}
