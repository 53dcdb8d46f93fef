import ModelGraph

/// Jina Embeddings 2: BERT with linear biases by distance in place of positions, and GEGLU. The model of code has norms
/// of queries and keys, and a second norm after attention.
///
/// Gate and up are two matrices or, without `ffn_gate`, one, in which the gate comes first; in the model of code, last.
/// A feed-forward network without a gate and a classifier's hidden layer, which the authors' code has too, no file has.
/// Sources: Günther et al. 2023, section 3; `modeling_bert.py` of `jina-bert-implementation` and of
/// `jina-bert-v2-qk-post-norm`, whose GELU is exact.
public struct JinaBERT2: Architecture {
    public static let name = "jina-bert-v2"

    let encoder: PostNormEncoder
    public var dimensions: Dimensions { encoder.dimensions }
    public var traits: Traits { encoder.text.traits }

    public init(_ h: inout some Hyperparameters) throws {
        encoder = try PostNormEncoder(&h, evenHeads: false, grouping: .never)
    }

    public func build(_ g: GraphBuilder) {
        let normalization = encoder.normalization
        func normed(_ block: Scope, _ name: String, _ heads: Value) -> Value {
            block.has("\(name).weight") ? block.normAcrossHeads(name, heads, normalization) : heads
        }
        encoder.build(
            g, types: nil, outputBias: .required,
            turn: { (normed($0, "attn_q_norm", $1), normed($0, "attn_k_norm", $2)) },
            scores: g.batchAlibi(heads: encoder.attention.heads[0], maxBias: 8),
            mixed: { block, mixed, x in
                block.has("attn_norm_2.weight") ? block.norm("attn_norm_2", mixed + x, normalization) : mixed
            },
            feed: { block, _, x in
                guard block.has("ffn_gate.weight") else {
                    return block.fusedFeedForward(
                        x, size: encoder.feedForward, .product(.geluErf), gateFirst: !block.has("attn_norm_2.weight"),
                        downBias: .required)
                }
                let gate = block.linear("ffn_gate", x, encoder.feedForward)
                let hidden = gate(.geluErf) * block.linear("ffn_up", x, encoder.feedForward)
                return block.linear("ffn_down", hidden, dimensions.embedding, bias: .required)
            })
    }
}

/// Jina Embeddings 3: XLM-RoBERTa with rotated positions; its adapters are files of their own.
/// Sources: Sturua et al. 2024, section 3; `JinaEmbeddingsV3Model` of transformers.
public struct JinaBERT3: Architecture {
    public static let name = "jina-bert-v3"

    let encoder: PostNormEncoder
    let rotary: RotaryEmbedding
    public var dimensions: Dimensions { encoder.dimensions }
    public var traits: Traits { encoder.text.traits }

    public init(_ h: inout some Hyperparameters) throws {
        encoder = try PostNormEncoder(&h, evenHeads: true, grouping: .rarely)
        rotary = try RotaryEmbedding(&h, encoder.dimensions, headSize: encoder.attention.keySize, pairing: .neox)
    }

    public func build(_ g: GraphBuilder) {
        let rope = rotary.rope()
        encoder.build(
            g, turn: { ($1.rotated(rope), $2.rotated(rope)) },
            feed: { block, _, x in
                block.feedForward(x, size: encoder.feedForward, .plain(.geluErf), bias: .optional)
            })
    }
}
