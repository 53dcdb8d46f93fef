import ModelGraph

/// Multi-token prediction: blocks after a model's own, each of which predicts one token further from what the block
/// before it made and from the embedding of the next token.
///
/// Engines leave them out of the model's results; their tensors belong to it all the same.
/// Source: DeepSeek-V3 technical report, section 2.2.
extension GraphBuilder {
    /// A decoder of blocks that transform the residual stream, and its prediction blocks, which are of the same kind.
    ///
    /// - Parameters:
    ///   - tying: whether the output matrix is the model's own, the token embedding, or either.
    ///   - outputNorm: the prediction blocks' own norm before the logits, where it has another name than DeepSeek's.
    ///   - scale: multiplies the logits.
    ///   - transform: what a block does: its scope, its number, and `[T, D] → [T, D]`.
    public func decoder(
        _ dimensions: Dimensions, _ normalization: Normalization, tying: Tying = .optional, outputNorm: String? = nil,
        scale: Double = 1, transform: (Scope, Int, Value) -> Value
    ) {
        if case .predict(let number) = batch.stage {
            return prediction(
                number, dimensions, normalization, outputNorm: outputNorm, scale: scale, transform: transform)
        }
        var x = tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers { x = transform(block(layer), layer, x) }
        logits(x, dimensions, normalization, tying: tying, scale: scale)
    }

    /// The graph of one prediction block, in `BatchShape.Stage.predict`: nothing where the file lacks it, as files do
    /// that were made without.
    ///
    /// - Parameters:
    ///   - scale: multiplies the logits.
    ///   - transform: what a block of that model does: its scope, its number, and `[T, D] → [T, D]`.
    public func prediction(
        _ number: Int, _ dimensions: Dimensions, _ normalization: Normalization, name: String = "output_norm",
        outputNorm: String? = nil, scale: Double = 1, transform: (Scope, Int, Value) -> Value
    ) {
        let index = dimensions.layers + number
        let block = block(index)
        let width = dimensions.embedding
        guard
            let joining = block.optionalWeight("nextn.eh_proj.weight", [width, 2 * width], .projection, presence: .most)
        else { return }
        let vocabulary: Shape = [dimensions.vocabulary, width]
        let table = block.optionalWeight("nextn.embed_tokens.weight", vocabulary, .embedding)
            ?? model.weight("token_embd.weight", vocabulary, .embedding)
        layer = index
        let embedded = block.norm("nextn.enorm", table.rows(tokens), normalization)
        let before = block.norm("nextn.hnorm", input(.hidden, [batch.tokens, width]), normalization)
        let hidden = transform(block, index, embedded.joined(before).matmul(joining))
        output(.embeddings, hidden)

        let rows = hidden.rows(outputs)
        let own = (["nextn.shared_head_norm"] + [outputNorm].compactMap { $0 }).first { block.has("\($0).weight") }
        let normed = own.map { block.norm($0, rows, normalization) } ?? model.norm(name, rows, normalization)
        let head = block.optionalWeight("nextn.shared_head_head.weight", vocabulary, .projection)
            ?? model.optionalWeight("output.weight", vocabulary, .projection)
            ?? model.weight("token_embd.weight", vocabulary, .embedding)
        output(.logits, normed.matmul(head) * scale)
    }
}
