import ModelGraph

/// MiniCPM3: latent attention, and residuals, embeddings and outputs that are scaled.
///
/// Hard-coded as in the one released model: embeddings times 12, residuals times `1.4 / √layers`, outputs times
/// `256 / width`. Files have LongRoPE's factors without saying so.
/// Source: Hu et al. 2024 (MiniCPM), section 3, and `MiniCPM3ForCausalLM` of transformers.
public struct MiniCPM3: Architecture {
    public static let name = "minicpm3"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: MultiHeadLatentAttention
    let rotary: RotaryEmbedding
    let feedForward: Int

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h)
        traits = try Traits(decoder: &h)
        normalization = try Normalization(&h, .rms, inner: MultiHeadLatentAttention.normalization.epsilon)
        let heads = try MultiHeadLatentAttention.heads(&h)
        attention = try MultiHeadLatentAttention(
            &h, heads: heads, form: .expanded, compression: .always,
            defaultValueSize: dimensions.embedding % heads == 0 ? dimensions.embedding / heads : nil)
        rotary = try RotaryEmbedding(
            &h, dimensions, rotated: attention.positional, pairing: .neox, scalings: [.linear, .none, .yarn, .longrope])
        feedForward = try h.feedForwardLength()
    }

    public func build(_ g: GraphBuilder) {
        let width = dimensions.embedding
        let residual = 1.4 / Double(dimensions.layers).squareRoot()
        var options = MultiHeadLatentAttention.Options()
        options.rope = { rotary.rope(offset: $0) }
        options.factors = rotary.factorsByContext(g)
        var x = g.tokenEmbedding(dimensions) * 12
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            let mixed = attention.attend(
                block, block.norm("attn_norm", x, normalization), scale: attention.scale, mask: traits.mask, options)
            x = x + block.linear("attn_output", mixed, width) * residual
            let fed = block.norm("ffn_norm", x, normalization)
            x = x + block.feedForward(fed, size: feedForward, .gated(.swiglu)) * residual
        }
        let rows = g.embeddings(x) { g.model.norm("output_norm", $0, normalization) }
        let shape: Shape = [dimensions.vocabulary, width]
        let own = g.model.optionalWeight("output.weight", shape, .projection)
        guard g.batch.pooledSequences == nil else { return }
        let matrix = own ?? g.model.weight("token_embd.weight", shape, .embedding)
        g.output(.logits, (rows * (256 / Double(width))).matmul(matrix))
    }
}
