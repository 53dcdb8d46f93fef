import ModelGraph

/// Embeddings of images that are not all added at once: the first blocks each add a part of their own to their result.
///
/// Sources: Meng et al. 2024 (DeepStack); Qwen3-VL (2025), section 2.
extension GraphBuilder {
    /// `[T, D]`: as without; of embeddings, which are `[T, (1 + parts) · D]`, the first part.
    public func tokenEmbedding(_ dimensions: Dimensions, deepStack parts: Int) -> Value {
        guard batch.isEmbedded, parts > 0 else { return tokenEmbedding(dimensions) }
        // The table belongs to the model all the same.
        _ = model.weight("token_embd.weight", [dimensions.vocabulary, dimensions.embedding], .embedding)
        return embeddingParts(parts, dimensions.embedding).columns(0, dimensions.embedding)
    }

    /// `[T, D]`, with the part that is added after this block, if tokens are given as embeddings and have it.
    public func addingDeepStack(_ x: Value, _ parts: Int, after layer: Int) -> Value {
        guard batch.isEmbedded, layer < parts else { return x }
        let width = x.shape[1]
        return x + embeddingParts(parts, width).columns((layer + 1) * width, width)
    }

    private func embeddingParts(_ parts: Int, _ width: Int) -> Value {
        input(.embeddings, [batch.tokens, (1 + parts) * width])
    }
}

extension Hyperparameters {
    mutating func deepStack(layers: Int) throws -> Int {
        try integer(
            "n_deepstack_layers", 0...512, fuzz: Array(0...layers), default: 0,
            "blocks after which embeddings of images add more")
    }
}
