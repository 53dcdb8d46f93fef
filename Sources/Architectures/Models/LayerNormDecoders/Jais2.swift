import ModelGraph

/// Jais 2: layer norms, heads of any size, squared ReLU, biases throughout.
/// Source: its class in transformers (Inception 2025).
public struct Jais2: Architecture {
    public static let name = "jais2"
    let decoder: PreNormDecoder
    public var dimensions: Dimensions { decoder.dimensions }
    public var traits: Traits { decoder.traits }

    public init(_ h: inout some Hyperparameters) throws {
        decoder = try PreNormDecoder(&h, .init(
            norm: .layer, normBias: .required, headSize: .declaredAlike, activation: .plain(.squaredReLU),
            projectionBias: .usual, outputBias: .usual, feedForwardBias: .usual, tying: .optional))
    }
    public func build(_ g: GraphBuilder) { decoder.build(g) }
}
