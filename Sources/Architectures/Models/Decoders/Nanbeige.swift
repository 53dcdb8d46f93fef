import ModelGraph

/// Nanbeige 4.2: Llama whose blocks are passed several times, with the same weights and a cache of each pass.
/// Source: its authors' `modeling_nanbeige.py`, as mlx-lm has it.
public struct Nanbeige: Architecture {
    public static let name = "nanbeige"

    let decoder: DenseDecoder
    public var dimensions: Dimensions { decoder.dimensions }
    public var traits: Traits { decoder.traits }
    let passes: Int
    /// Whether the output norm is applied after the last pass only.
    let normsLastOnly: Bool

    public init(_ h: inout some Hyperparameters) throws {
        var options = DenseDecoder.Options(pairing: .normal)
        options.hasFrequencyFactors = true
        decoder = try DenseDecoder(&h, options)
        passes = try h.integer("num_loops", 1...64, fuzz: [1, 2, 3], default: 1, "how often all blocks are passed")
        normsLastOnly = try h.boolean(
            "skip_loop_final_norm", default: false, "whether there is no norm between passes")
    }

    public func build(_ g: GraphBuilder) {
        let factors = decoder.rotary.factors(g)
        var x = g.tokenEmbedding(dimensions)
        for pass in 0..<passes {
            if pass > 0, !normsLastOnly { x = g.model.norm("output_norm", x, decoder.normalization) }
            for layer in 0..<dimensions.layers {
                var block = g.block(layer)
                block.pass = pass
                x = decoder.transform(block, layer, x, factors: factors)
            }
        }
        g.logits(x, dimensions, decoder.normalization)
    }
}
