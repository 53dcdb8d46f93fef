import ModelGraph

/// Per-layer embeddings: each layer adds what a small embedding of the token, and a projection of the model's input,
/// let through of its output.
///
/// Source: `Gemma3nTextModel` of transformers, which the authors wrote.
public struct PerLayerEmbedding: Hashable, Sendable {
    /// Elements of each layer's embedding.
    public let size: Int

    /// `[T, L, P]`: the input of each of `layers`.
    /// - Parameter x: `[T, D]`, the model's input.
    public func inputs(
        _ g: GraphBuilder, _ x: Value, _ dimensions: Dimensions, _ normalization: Normalization
    ) -> Value {
        let (model, layers) = (g.model, dimensions.layers)
        let shape: Shape = [g.batch.tokens, layers, size]
        let table = model.weight("per_layer_token_embd.weight", [dimensions.vocabulary, layers * size], .embedding)
        let ofToken = table.rows(g.tokens) * Double(size).squareRoot()
        let projected = model.linear(
            "per_layer_model_proj", x, layers * size) * (1 / Double(dimensions.embedding).squareRoot())
        let normed = model.norm("per_layer_proj_norm", projected.reshaped(shape), normalization)
        return (normed + ofToken.reshaped(shape)) * 0.5.squareRoot()
    }

    /// `[T, D]`: what a block adds to its output.
    /// - Parameter inputs: of all layers.
    public func output(
        _ block: Scope, _ layer: Int, _ x: Value, inputs: Value, _ normalization: Normalization
    ) -> Value {
        let input = inputs.slice(1, layer, 1).reshaped([x.shape[0], size])
        let gated = block.g.apply(.gated(.geglu), block.linear("inp_gate", x, size), input)
        return block.norm("post_norm", block.linear("proj", gated, x.shape[1]), normalization)
    }
}
