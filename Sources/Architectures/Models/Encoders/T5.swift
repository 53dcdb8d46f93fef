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
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let bias: RelativePositionBias
    let feedForward: Int
    let decoderLayers: Int

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions, evenHeads: false, grouping: .never)
        bias = try RelativePositionBias(&h)
        try h.note("decoder_start_token_id", "the decoder's first token, which whoever runs it gives")
        try h.note("attention.layer_norm_epsilon", "the same as that of the RMS norms")
        feedForward = try h.feedForwardLength()
        decoderLayers = try h.integer(
            "decoder_block_count", 1...512, fuzz: Array(1...dimensions.layers), default: dimensions.layers, "number of the decoder's blocks")
    }

    public func build(_ g: GraphBuilder) {
        if g.batch.stage == .encode { encode(g) } else { decode(g) }
    }

    private func encode(_ g: GraphBuilder) {
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

    private func decode(_ g: GraphBuilder) {
        let encoded = g.input(.encoderOutput, [g.batch.encoderTokens, dimensions.embedding])
        let encoderMask = g.encoderMask
        var x = g.tokenEmbedding(dimensions)
        var first: Value?
        for layer in 0..<decoderLayers {
            let block = g.block(layer, of: "dec.")
            let table = bias.table(block, first: first, heads: attention.heads[0])
            first = first ?? table
            let (q, k, v) = project(block, block.norm("attn_norm", x, normalization))
            let mixed = block.cachedAttention(q, k, v, scale: 1, bias: g.cacheBias(table))
            x = x + block.linear("attn_o", mixed, dimensions.embedding)

            let (crossed, keys, values) = project(
                block, block.norm("cross_attn_norm", x, normalization), over: encoded, prefix: "cross_")
            let looked = block.attention(crossed, keys, values, encoderMask, scale: 1, valueSize: attention.valueSize)
            x = x + block.linear("cross_attn_o", looked, dimensions.embedding)
            x = x + feedForward(block, x)
        }
        g.logits(
            x, dimensions, normalization, name: "dec.output_norm", tiedScale: 1 / Double(dimensions.embedding).squareRoot())
    }

    private func project(
        _ block: Scope, _ x: Value, over source: Value? = nil, prefix: String = ""
    ) -> (queries: Value, keys: Value, values: Value) {
        let (count, size) = (attention.heads[0], attention.keySize)
        func heads(_ name: String, of x: Value, _ role: Weight.Role = .projection) -> Value {
            block.linear(prefix + name, x, count * size, role: role).reshaped([x.shape[0], count, size])
        }
        return (heads("attn_q", of: x, .unscaledQuery), heads("attn_k", of: source ?? x), heads("attn_v", of: source ?? x))
    }

    /// The first T5 has no gate, version 1.1 and Flan-T5 have.
    private func feedForward(_ block: Scope, _ x: Value) -> Value {
        block.feedForward(
            block.norm("ffn_norm", x, normalization), size: feedForward,
            block.has("ffn_gate.weight") ? .gated(.geglu) : .plain(.relu))
    }
}
