import ModelGraph

/// BERT: an encoder of learned positions and token types, norms after each part, embeddings or classification
/// scores as output.
/// Sources: Devlin et al. 2018; the authors' `modeling.py`, whose GELU is exact.
public struct BERT: Architecture {
    public static let name = "bert"

    let encoder: PostNormEncoder
    public var dimensions: Dimensions { encoder.dimensions }
    public var traits: Traits { encoder.text.traits }

    public init(_ h: inout some Hyperparameters) throws {
        encoder = try PostNormEncoder(&h, evenHeads: false, grouping: .freely, classifies: true)
    }

    public func build(_ g: GraphBuilder) {
        encoder.build(
            g, positions: g.positionEmbedding(dimensions),
            feed: { block, _, x in
                block.feedForward(x, size: encoder.feedForward, .plain(.geluErf), bias: .optional)
            },
            head: encoder.text.classifier(g, width: dimensions.embedding, .tanh))
    }
}
