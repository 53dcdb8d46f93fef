import ModelGraph

/// XVERSE: Llama without experts.
/// Source: XVERSE's `modeling_xverse.py` (2023).
public struct XVERSE: Architecture {
    public static let name = "xverse"
    let decoder: PreNormDecoder
    public var dimensions: Dimensions { decoder.dimensions }
    public var traits: Traits { decoder.traits }

    public init(_ h: inout some Hyperparameters) throws { decoder = try PreNormDecoder(&h, .init(pairing: .normal)) }
    public func build(_ g: GraphBuilder) { decoder.build(g) }
}
