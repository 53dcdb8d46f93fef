import ModelGraph

/// EuroBERT: Llama as an encoder.
/// Sources: Boizard et al. 2025, section 2; `EuroBertModel` of transformers.
public struct EuroBERT: Architecture {
    public static let name = "eurobert"

    public let dimensions: Dimensions
    public var traits: Traits { text.traits }
    let text: TextEncoder
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let feedForward: Int

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, embeddings: Domains.evenSizes)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions, headSize: .splitEmbedding)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox)
        feedForward = try h.feedForwardLength()
        text = try TextEncoder(&h, classifies: false)
    }

    public func build(_ g: GraphBuilder) {
        let rope = rotary.rope()
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let (q, k, v) = attention.project(block, layer, block.norm("attn_norm", x, normalization), bias: .rare)
            let mixed = block.batchAttention(q.rotated(rope), k.rotated(rope), v, scale: attention.scale)
            x = x + block.linear("attn_output", mixed, dimensions.embedding)
            x = x + block.feedForward(block.norm("ffn_norm", x, normalization), size: feedForward, .gated(.swiglu))
        }
        g.embeddings(x) { g.model.norm("output_norm", $0, normalization) }
    }
}

/// NeoBERT: an encoder with norms before each part, rotated positions and SwiGLU. Queries, keys and values are one
/// matrix, in which they lie head by head, and so are gate and up. Sources: Le Breton et al. 2025, section 3; the
/// authors' `model.py`.
public struct NeoBERT: Architecture {
    public static let name = "neo-bert"

    public let dimensions: Dimensions
    public var traits: Traits { text.traits }
    let text: TextEncoder
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let feedForward: Int

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, embeddings: Domains.evenSizes)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions, headSize: .splitEmbedding, grouping: .never)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .normal)
        feedForward = try h.feedForwardLength()
        text = try TextEncoder(&h, classifies: true)
    }

    public func build(_ g: GraphBuilder) {
        let (width, heads, size, rope) = (dimensions.embedding, attention.heads[0], attention.keySize, rotary.rope())
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let qkv = block.linear("attn_qkv", block.norm("attn_norm", x, normalization), 3 * width)
                .reshaped([g.batch.tokens, heads, 3 * size])
            let mixed = block.batchAttention(
                qkv.columns(0, size).rotated(rope), qkv.columns(size, size).rotated(rope), qkv.columns(2 * size, size),
                scale: attention.scale)
            x = x + block.linear("attn_output", mixed, width)
            x = x + block.fusedFeedForward(
                block.norm("ffn_norm", x, normalization), size: feedForward, .gated(.swiglu))
        }
        let head = text.classifier(g, width: width, .tanh)
        g.embeddings(x, head: head) { g.model.norm("enc.output_norm", $0, normalization) }
    }
}
