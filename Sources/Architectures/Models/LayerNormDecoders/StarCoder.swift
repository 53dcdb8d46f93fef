import ModelGraph

/// StarCoder and SantaCoder: GPT-2, the query heads of which share one key/value head.
/// Source: Li et al. 2023, section 5.
public struct StarCoder: Architecture {
    public static let name = "starcoder"
    let decoder: GPT2
    public var dimensions: Dimensions { decoder.dimensions }
    public var traits: Traits { decoder.traits }

    public init(_ h: inout some Hyperparameters) throws { decoder = try GPT2(&h) }
    public func build(_ g: GraphBuilder) { decoder.build(g) }
}
