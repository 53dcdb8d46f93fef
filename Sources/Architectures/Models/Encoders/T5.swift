import ModelGraph

/// T5 and Flan-T5: an encoder and a decoder with learned biases by relative position, unscaled attention,
/// ReLU or GeGLU.
///
/// Where the token embedding serves as the output matrix too, the decoder's result is multiplied by `1/√D` first; the
/// versions with a matrix of their own, 1.1 and Flan-T5, are not scaled.
/// Sources: Raffel et al. 2020; Mesh TensorFlow, `transformer.py` (`shared_embedding_and_softmax_weights`).
public struct T5: Architecture {
    public static let name = "t5"

    public let dimensions: Dimensions
    public let traits = Traits(hasEncoder: true)
    let stack: RelativeStack
    let decoderLayers: Int

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h)
        let normalization = try Normalization(&h, .rms)
        let attention = try GroupedQueryAttention(&h, dimensions, evenHeads: false, grouping: .never)
        let bias = try RelativePositionBias(&h)
        try h.note("decoder_start_token_id", "the decoder's first token, which whoever runs it gives")
        try h.note("attention.layer_norm_epsilon", "the same as that of the RMS norms")
        stack = RelativeStack(
            dimensions: dimensions, normalization: normalization, attention: attention, bias: bias,
            feedForward: try h.feedForwardLength())
        decoderLayers = try h.integer(
            "decoder_block_count", 1...512, fuzz: Array(1...dimensions.layers), default: dimensions.layers,
            "number of the decoder's blocks")
    }

    public func build(_ g: GraphBuilder) {
        if g.batch.stage == .encode { stack.encode(g) } else { decode(g) }
    }

    private func decode(_ g: GraphBuilder) {
        let encoded = g.input(.encoderOutput, [g.batch.encoderTokens, dimensions.embedding])
        let encoderMask = g.encoderMask
        let normalization = stack.normalization
        var x = g.tokenEmbedding(dimensions)
        var first: Value?
        for layer in 0..<decoderLayers {
            let block = g.block(layer, of: "dec.")
            let table = stack.bias.table(block, first: first, heads: stack.attention.heads[0])
            first = first ?? table
            let (q, k, v) = stack.project(block, block.norm("attn_norm", x, normalization))
            let mixed = block.cachedAttention(q, k, v, scale: 1, bias: g.cacheBias(table))
            x = x + block.linear("attn_o", mixed, dimensions.embedding)

            let (crossed, keys, values) = stack.project(
                block, block.norm("cross_attn_norm", x, normalization), over: encoded, prefix: "cross_")
            let looked = block.attention(
                crossed, keys, values, encoderMask, scale: 1, valueSize: stack.attention.valueSize)
            x = x + block.linear("cross_attn_o", looked, dimensions.embedding)
            x = x + stack.feedForward(block, x)
        }
        g.logits(
            x, dimensions, normalization, name: "dec.output_norm",
            tiedScale: 1 / Double(dimensions.embedding).squareRoot())
    }
}

/// T5's encoder by itself, which embeds texts.
/// Sources: Ni et al. 2021 (Sentence-T5); `T5EncoderModel` of transformers.
public struct T5Encoder: Architecture {
    public static let name = "t5encoder"

    public let dimensions: Dimensions
    public var traits: Traits { text.traits }
    let text: TextEncoder
    let stack: RelativeStack

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h)
        let normalization = try Normalization(&h, .rms)
        let attention = try GroupedQueryAttention(&h, dimensions, evenHeads: false, grouping: .never)
        let bias = try RelativePositionBias(&h)
        try h.note("decoder_start_token_id", "there is no decoder")
        try h.note("attention.layer_norm_epsilon", "the same as that of the RMS norms")
        stack = RelativeStack(
            dimensions: dimensions, normalization: normalization, attention: attention, bias: bias,
            feedForward: try h.feedForwardLength())
        text = try TextEncoder(&h, classifies: false)
    }

    public func build(_ g: GraphBuilder) { stack.encode(g) }
}

/// What T5's encoder and decoder share, and the encoder.
struct RelativeStack: Sendable {
    let dimensions: Dimensions
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let bias: RelativePositionBias
    let feedForward: Int

    func encode(_ g: GraphBuilder) {
        var x = g.tokenEmbedding(dimensions)
        var first: Value?
        for layer in 0..<dimensions.layers {
            let block = g.block(layer, of: "enc.")
            let table = bias.table(block, first: first, heads: attention.heads[0])
            first = first ?? table
            let (q, k, v) = project(block, block.norm("attn_norm", x, normalization))
            let mixed = block.batchAttention(q, k, v, scale: 1, bias: g.batchBias(table))
            x = x + block.linear("attn_o", mixed, dimensions.embedding)
            x = x + feedForward(block, x)
        }
        g.embeddings(x) { g.model.norm("enc.output_norm", $0, normalization) }
    }

    func project(
        _ block: Scope, _ x: Value, over source: Value? = nil, prefix: String = ""
    ) -> (queries: Value, keys: Value, values: Value) {
        let (count, size) = (attention.heads[0], attention.keySize)
        func heads(_ name: String, of x: Value, _ role: Weight.Role = .projection) -> Value {
            block.linear(prefix + name, x, count * size, role: role).reshaped([x.shape[0], count, size])
        }
        return (heads("attn_q", of: x, .unscaledQuery), heads("attn_k", of: source ?? x), heads(
            "attn_v", of: source ?? x))
    }

    /// The first T5 has no gate, version 1.1 and Flan-T5 have.
    func feedForward(_ block: Scope, _ x: Value) -> Value {
        block.feedForward(
            block.norm("ffn_norm", x, normalization), size: feedForward,
            block.has("ffn_gate.weight") ? .gated(.geglu) : .plain(.relu))
    }
}
