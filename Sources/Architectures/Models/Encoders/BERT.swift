import ModelGraph

/// BERT: an encoder of learned positions and token types, norms after each part, embeddings or classification
/// scores as output.
/// Sources: Devlin et al. 2018; the authors' `modeling.py`, whose GELU is exact.
public struct BERT: Architecture {
    public static let name = "bert"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let feedForward: Int
    let tokenTypes: Int
    let labels: Int

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h)
        normalization = try Normalization(&h, .layer, bias: .required)
        attention = try GroupedQueryAttention(&h, dimensions, headSize: .splitEmbedding, evenHeads: false)
        feedForward = try h.feedForwardLength()
        tokenTypes = try h.integer("tokenizer.ggml.token_type_count", 1...65536, fuzz: [2, 1, 3], "kinds of tokens; all are of the first")
        _ = try h.boolean("attention.causal", among: [false], default: false, "whether tokens see no later ones")
        let pooling = try h.option("pooling_type", among: Pooling.allCases, default: .none, "how the embeddings of a sequence become one")
        let isClassifier = pooling == .rank
        let classifierPooling = isClassifier
            ? try h.option("classifier.pooling_type", among: [Pooling.cls, .mean], default: .cls, "how embeddings become one before they are classified")
            : .cls
        labels = try h.optionalLabels("classifier.output_labels", fuzz: [1, 2, 3], "names of the classes") ?? 1
        traits = Traits(isBidirectional: true, pooling: pooling, classifierPooling: classifierPooling)
    }

    public func build(_ g: GraphBuilder) {
        var x = g.tokenEmbedding(dimensions) + g.positionEmbedding(dimensions)
        if let types = g.model.optionalWeight("token_types.weight", [tokenTypes, dimensions.embedding], .embedding) {
            x = x + types.slice(0, 0, 1)
        }
        x = g.model.norm("token_embd_norm", x, normalization)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let (q, k, v) = attention.project(block, layer, x)
            let mixed = block.batchAttention(q, k, v, scale: attention.scale)
            x = block.norm(
                "attn_output_norm", x + block.linear("attn_output", mixed, dimensions.embedding, bias: .optional), normalization)
            x = block.norm(
                "layer_output_norm", x + block.feedForward(x, size: feedForward, .plain(.geluErf), bias: .optional), normalization)
        }
        g.embeddings(x, head: classifier(g)) { $0 }
    }

    /// `[S, D] → [S, classes]`, where the model classifies; its tensors belong to the model either way.
    private func classifier(_ g: GraphBuilder) -> (Value) -> Value {
        let (width, isClassifier) = (dimensions.embedding, traits.pooling == .rank)
        g.layer = nil
        let dense = g.model.optionalWeight("cls.weight", [width, width], .projection)
        let denseBias = dense == nil ? nil : g.model.bias("cls", [width], .optional)
        let shape: Shape = [labels, width]
        let out = isClassifier
            ? g.model.weight("cls.output.weight", shape, .projection)
            : g.model.optionalWeight("cls.output.weight", shape, .projection)
        let outBias = out == nil ? nil : g.model.bias("cls.output", [labels], .optional)
        guard isClassifier, let out else { return { $0 } }
        return { pooled in
            var x = pooled
            if let dense {
                x = x.matmul(dense)
                x = (denseBias.map { x + $0 } ?? x)(.tanh)
            }
            x = x.matmul(out)
            return outBias.map { x + $0 } ?? x
        }
    }
}
