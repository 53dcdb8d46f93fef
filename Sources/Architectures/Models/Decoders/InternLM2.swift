import ModelGraph

/// InternLM 2: Llama without experts, whose attention may have biases throughout.
/// Sources: Cai et al. 2024, section 2.2; InternLM's `modeling_internlm2.py`.
public struct InternLM2: Architecture {
    public static let name = "internlm2"
    let decoder: PreNormDecoder
    public var dimensions: Dimensions { decoder.dimensions }
    public var traits: Traits { decoder.traits }

    public init(_ h: inout some Hyperparameters) throws {
        decoder = try PreNormDecoder(&h, .init(pairing: .normal, outputBias: .rare))
    }
    public func build(_ g: GraphBuilder) { decoder.build(g) }
}
