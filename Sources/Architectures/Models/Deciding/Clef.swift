import ModelGraph

/// Clef: Qwen3.5 that reads a text, questions about it and the options of each, and scores all options at once; nothing
/// is kept from one prompt to the next.
///
/// Its scores are what a softmax over the options of a question takes; temperatures, which some files have, are for
/// whoever runs it.
/// Source: Cloudflare 2026 (Clef), authors' `joint_schema_model.py`.
public struct Clef: Architecture {
    public static let name = "clef"

    public let dimensions: Dimensions
    public let traits = Traits(decides: true)
    let blocks: Qwen35Blocks
    let head: DecisionHead

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, layers: LayerLayouts.hybridDepths)
        blocks = try Qwen35Blocks(&h, dimensions)
        head = try DecisionHead(&h)
    }

    public func build(_ g: GraphBuilder) {
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            x = blocks.transform(g.block(layer), layer, x, keepsKeys: false)
        }
        let shape: Shape = [dimensions.vocabulary, dimensions.embedding]
        let words = g.model.optionalWeight("output.weight", shape, .projection)
            ?? g.model.weight("token_embd.weight", shape, .embedding)
        let states = g.model.norm("output_norm", x, blocks.normalization)
        g.output(.embeddings, head.scores(g, states, words: words))
    }
}
