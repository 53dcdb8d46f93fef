import ModelGraph

extension GraphBuilder {
    /// `[T, D]`: the rows of the token embedding, or what tokens are given as in their place.
    public func tokenEmbedding(_ dimensions: Dimensions) -> Value {
        let table = model.weight("token_embd.weight", [dimensions.vocabulary, dimensions.embedding], .embedding)
        return batch.isEmbedded ? input(.embeddings, [batch.tokens, dimensions.embedding]) : table.rows(tokens)
    }

    /// `[T, D]`: a learned row for each position up to the context length.
    public func positionEmbedding(_ dimensions: Dimensions) -> Value {
        model.weight("position_embd.weight", [dimensions.context, dimensions.embedding], .embedding).rows(positions)
    }

    /// Keeps the wanted rows, norms them, and names them as the embeddings of this batch, pooled if asked.
    /// - Parameter head: applied to the pooled rows, or to all where they are not pooled.
    /// - Returns: `[R, D]`, the normed rows before pooling.
    @discardableResult
    public func embeddings(_ x: Value, head: (Value) -> Value = { $0 }, _ norm: (Value) -> Value) -> Value {
        layer = nil
        let rows = norm(x.rows(outputs))
        if let sequences = batch.pooledSequences {
            output(.embeddings, head(apply(.pool, rows, input(.pooling, [sequences, batch.outputs]))))
        } else {
            output(.embeddings, head(rows))
        }
        return rows
    }

    /// The end of a decoder: the final norm, then the logits of the wanted rows, or what they are pooled to.
    ///
    /// Without an `output.weight` the token embedding serves (tied embeddings).
    /// - Parameters:
    ///   - normalization: nil: the rows are normed already.
    ///   - count: of logits, where the vocabulary has more.
    ///   - tying: whether the output matrix is the model's own, the token embedding, or either.
    ///   - tiedScale: multiplies the rows where the token embedding serves.
    ///   - bias: of the output matrix.
    ///   - scale: of the logits.
    ///   - softcap: of the logits, after that.
    ///   - adjusting: what is done to the logits in the end.
    ///   - head: makes embeddings or scores of the normed rows, pooled if asked, in place of logits.
    public func logits(
        _ x: Value, _ dimensions: Dimensions, _ normalization: Normalization?, name: String = "output_norm",
        count: Int? = nil,
        tying: Tying = .optional, tiedScale: Double = 1, bias: Scope.Bias = .none, scale: Double = 1,
        softcap: Double? = nil, adjusting: (Value) -> Value = { $0 }, head: ((Value) -> Value)? = nil
    ) {
        logits(
            x, dimensions, count: count, tying: tying, tiedScale: tiedScale, bias: bias, scale: scale, softcap: softcap,
            adjusting: adjusting, head: head
        ) { rows in normalization.map { model.norm(name, rows, $0) } ?? rows }
    }

    /// The same with a final norm that has no weights, or weights of another kind.
    public func logits(
        _ x: Value, _ dimensions: Dimensions, count: Int? = nil, tying: Tying = .optional, tiedScale: Double = 1,
        bias: Scope.Bias = .none, scale: Double = 1, softcap: Double? = nil, adjusting: (Value) -> Value = { $0 },
        head: ((Value) -> Value)? = nil, norm: (Value) -> Value
    ) {
        let rows = embeddings(x, head: head ?? { $0 }, norm)
        let shape: Shape = [count ?? dimensions.vocabulary, dimensions.embedding]
        let own: Value? = switch tying {
        case .optional: model.optionalWeight("output.weight", shape, .projection)
        case .rarely: model.optionalWeight("output.weight", shape, .projection, presence: .most)
        case .never: model.weight("output.weight", shape, .projection)
        case .always: nil
        }
        let bias = model.bias("output", [dimensions.vocabulary], bias)
        guard batch.pooledSequences == nil, head == nil else { return }
        var logits = own.map { rows.matmul($0) }
            ?? (tiedScale == 1 ? rows : rows * tiedScale).matmul(model.weight("token_embd.weight", shape, .embedding))
        if let bias { logits = logits + bias }
        logits = logits * scale
        output(.logits, adjusting(softcap.map { logits.softcapped($0) } ?? logits))
    }

    /// `rarely`: few released models are without a matrix of their own.
    public enum Tying: Sendable { case optional, rarely, never, always }
}
