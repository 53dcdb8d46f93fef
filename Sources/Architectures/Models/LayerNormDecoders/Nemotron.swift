import ModelGraph

/// Nemotron and Minitron: layer norms, whose weights files hold with the 1 that is added to them, RoPE of a part of
/// each head, heads that need not divide the width, squared ReLU.
/// Source: Parmar et al. 2024, section 2.
public struct Nemotron: Architecture {
    public static let name = "nemotron"
    let decoder: PreNormDecoder
    public var dimensions: Dimensions { decoder.dimensions }
    public var traits: Traits { decoder.traits }

    public init(_ h: inout some Hyperparameters) throws {
        decoder = try PreNormDecoder(&h, .init(
            norm: .layer, normBias: .required, headSize: .declaredRarely, rotatesWhole: false,
            activation: .plain(.squaredReLU), outputBias: .optional, feedForwardBias: .optional, tying: .rarely))
    }
    public func build(_ g: GraphBuilder) { decoder.build(g) }
}
