import ModelGraph

/// What an encoder makes of a text: the rows of its tokens, one row that they become, or scores of classes.
public struct TextEncoder: Hashable, Sendable {
    public let traits: Traits
    /// Classes that are scored.
    public let labels: Int

    /// - Parameters:
    ///   - classifies: whether the model may score classes.
    ///   - classifierPooling: of what is classified, where the metadata does not say.
    public init(
        _ h: inout some Hyperparameters, classifies: Bool, classifierPooling absent: Pooling = .cls
    ) throws {
        _ = try h.boolean("attention.causal", among: [false], default: false, "whether tokens see no later ones")
        let pooling = try h.option(
            "pooling_type", among: classifies ? Pooling.allCases : Pooling.ofTexts, default: .none,
            "how the embeddings of a sequence become one")
        let classifierPooling = pooling == .rank
            ? try h.option(
                "classifier.pooling_type", among: [Pooling.cls, .mean], default: absent,
                "how embeddings become one before they are classified")
            : .cls
        labels = classifies ? try h.optionalLabels(
            "classifier.output_labels", fuzz: [1, 2, 3], "names of the classes") ?? 1 : 1
        traits = Traits(isBidirectional: true, pooling: pooling, classifierPooling: classifierPooling)
    }

    /// `[S, D] → [S, classes]`, where the model classifies; its tensors belong to the model either way.
    /// - Parameters:
    ///   - activation: of the hidden layer, if there is one.
    ///   - normalization: of that layer's units; nil: they are not normed.
    public func classifier(
        _ g: GraphBuilder, width: Int, _ activation: Unary, bias: Scope.Bias = .optional,
        _ normalization: Normalization? = nil
    ) -> (Value) -> Value {
        let isClassifier = traits.pooling == .rank
        let model = g.model
        let dense = model.optionalWeight("cls.weight", [width, width], .projection)
        let denseBias = dense == nil ? nil : model.bias("cls", [width], bias)
        let scale = dense == nil || normalization == nil ? nil : model.optionalWeight(
            "cls.norm.weight", [width], .scale)
        let shape: Shape = [labels, width]
        let out = isClassifier
            ? model.weight("cls.output.weight", shape, .projection)
            : model.optionalWeight("cls.output.weight", shape, .projection)
        let outBias = out == nil ? nil : model.bias("cls.output", [labels], .optional)
        guard isClassifier, let out else { return { $0 } }
        return { pooled in
            var x = pooled
            if let dense {
                x = x.matmul(dense)
                x = (denseBias.map { x + $0 } ?? x)(activation)
            }
            if let scale, let normalization { x = x.norm(normalization.kind, normalization.epsilon, scale) }
            x = x.matmul(out)
            return outBias.map { x + $0 } ?? x
        }
    }
}

/// An encoder built as BERT is: a norm of the summed embeddings, and one after each part of a block.
/// Source: Devlin et al. 2018; of the order of norms, Vaswani et al. 2017.
struct PostNormEncoder: Sendable {
    let dimensions: Dimensions
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let feedForward: Int
    let tokenTypes: Int
    let text: TextEncoder

    /// - Parameters:
    ///   - evenHeads: whether head sizes must be even, for RoPE.
    init(
        _ h: inout some Hyperparameters, evenHeads: Bool, grouping: GroupedQueryAttention.Grouping,
        classifies: Bool = false
    ) throws {
        dimensions = try evenHeads ? Dimensions(&h, embeddings: Domains.evenSizes) : Dimensions(&h)
        normalization = try Normalization(&h, .layer, bias: .required)
        attention = try GroupedQueryAttention(
            &h, dimensions, headSize: .splitEmbedding, evenHeads: evenHeads, grouping: grouping)
        feedForward = try h.feedForwardLength()
        tokenTypes = try h.integer(
            "tokenizer.ggml.token_type_count", 1...65536, fuzz: [2, 1, 3], "kinds of tokens; all are of the first")
        text = try TextEncoder(&h, classifies: classifies)
    }

    /// - Parameters:
    ///   - positions: `[T, D]`, added to the token embeddings.
    ///   - types: whether the kinds of tokens have embeddings.
    ///   - qkvBias: of the projections to queries, keys and values.
    ///   - turn: what is done to queries and keys: a block's scope, and the two.
    ///   - scores: `[H, T, T]`, added to the attention scores.
    ///   - mixed: the norm after attention: a block's scope, the attention's output and its input.
    ///   - feed: the feed-forward network: a block's scope, its number, `[T, D] → [T, D]`.
    ///   - head: see `GraphBuilder.embeddings`.
    func build(
        _ g: GraphBuilder, positions: Value? = nil, types: GraphBuilder.Presence? = .some,
        qkvBias: Scope.Bias = .optional,
        outputBias: Scope.Bias = .optional, turn: (Scope, Value, Value) -> (Value, Value) = { ($1, $2) },
        scores: Value? = nil, mixed norm: ((Scope, Value, Value) -> Value)? = nil,
        feed: (Scope, Int, Value) -> Value, head: (Value) -> Value = { $0 }
    ) {
        var x = g.tokenEmbedding(dimensions)
        if let positions { x = x + positions }
        let shape: Shape = [tokenTypes, dimensions.embedding]
        let table = types.map { g.model.optionalWeight("token_types.weight", shape, .embedding, presence: $0) }
            ?? g.model.weight("token_types.weight", shape, .embedding)
        if let table { x = x + table.slice(0, 0, 1) }
        x = g.model.norm("token_embd_norm", x, normalization)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let (q, k, v) = attention.project(block, layer, x, bias: qkvBias)
            let (queries, keys) = turn(block, q, k)
            let looked = block.batchAttention(queries, keys, v, scale: attention.scale, bias: scores)
            let output = block.linear("attn_output", looked, dimensions.embedding, bias: outputBias)
            let normed = block.norm("attn_output_norm", x + output, normalization)
            x = norm.map { $0(block, normed, x) } ?? normed
            x = block.norm("layer_output_norm", x + feed(block, layer, x), normalization)
        }
        g.embeddings(x, head: head) { $0 }
    }
}
