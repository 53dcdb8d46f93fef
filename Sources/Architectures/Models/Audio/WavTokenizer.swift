import ModelGraph

/// The decoder of WavTokenizer, up to the short-time Fourier transform that its result is taken for: a convolution of
/// the codes' embeddings; six blocks (the positional net), of which the third is attention and the last a norm; then
/// ConvNeXt blocks. A sequence is computed as a whole. `embedding_length` is the result's width, `features_length` the
/// codes'. Sources: Ji et al. 2024, section 3.3; transformers, `WavTokenizerVocosBackbone`.
public struct WavTokenizer: Architecture {
    public static let name = "wavtokenizer-dec"

    public let dimensions: Dimensions
    public let traits = Traits(isBidirectional: true)
    let normalization: Normalization
    let groups: Int
    let groupEpsilon: Double
    /// Of the codes' embeddings, and of all that follows.
    let codeWidth: Int
    let width: Int
    let positionalBlocks: Int
    let convolutionBlocks: Int
    let feedForward: Int

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, layers: [1, 2, 3, 4, 6, 7])
        normalization = try Normalization(&h, .layer, bias: .required)
        _ = try h.boolean("attention.causal", among: [false], default: false, "whether tokens see no later ones")
        codeWidth = try h.integer(
            "features_length", 1...(1 << 20), fuzz: Domains.sizes, "width of the codes' embeddings")
        width = try h.integer(
            "posnet.embedding_length", 1...(1 << 20), fuzz: Domains.sizes.filter { $0 <= 96 },
            "width of the positional net")
        let second = try h.integer(
            "convnext.embedding_length", 1...(1 << 20), fuzz: [width], "width of the ConvNeXt blocks")
        try h.require(
            second == width, "convnext.embedding_length", "posnet.embedding_length",
            because: "widths of \(second) and \(width), which must be the same")
        let blocks = dimensions.layers
        positionalBlocks = try h.integer(
            "posnet.block_count", 0...6, fuzz: Array((0...min(6, blocks)).reversed()), "blocks of the positional net")
        convolutionBlocks = try h.integer(
            "convnext.block_count", 0...512, fuzz: Array((0...blocks).reversed()), "ConvNeXt blocks")
        try h.require(
            max(positionalBlocks, convolutionBlocks) <= blocks, "block_count", "posnet.block_count",
            "convnext.block_count", because: "\(blocks) blocks, the greater of the two at least")
        feedForward = try h.feedForwardLength("hidden units of a ConvNeXt block")
        groups = try h.integer(
            "attention.group_norm_groups", 1...65536, fuzz: Domains.divisors(of: width, among: [1, 2, 3, 4, 8, 16, 32]),
            "groups of columns that are normed together")
        try h.require(
            width % groups == 0, "attention.group_norm_groups", "posnet.embedding_length",
            because: "\(width) columns in \(groups) groups")
        groupEpsilon = try h.real(
            "attention.group_norm_epsilon", 0...1, fuzz: Domains.epsilons, "added to the variance by each group norm")
    }

    public func build(_ g: GraphBuilder) {
        let codes = g.model.weight("token_embd.weight", [dimensions.vocabulary, codeWidth], .embedding).rows(g.tokens)
        var x = g.model.denseConvolution("conv1d", codes, width, taps: 7)
        for index in 0..<positionalBlocks { x = positional(scope(g, "posnet", index), index, x) }
        x = g.model.norm("token_embd_norm", x, normalization)
        for index in 0..<convolutionBlocks {
            let block = scope(g, "convnext", index)
            let mixed = block.centredConvolution("dw", x, taps: 7, kernelShape: [width, 1, 7])
                + block.weight("dw.bias", [width, 1], .bias).reshaped([width])
            let hidden = block.linear("pw1", block.norm("norm", mixed, normalization), feedForward, bias: .required)
            let fed = block.linear("pw2", hidden(.geluErf), width, bias: .required)
            x = x + fed * block.weight("gamma.weight", [width], .scale)
        }
        g.embeddings(x) {
            g.model.linear(
                "output", g.model.norm("output_norm", $0, normalization), dimensions.embedding, bias: .required)
        }
    }

    private func scope(_ g: GraphBuilder, _ stack: String, _ index: Int) -> Scope {
        g.layer = index
        return Scope(g: g, prefix: "\(stack).\(index).", layer: index)
    }

    private func positional(_ block: Scope, _ index: Int, _ x: Value) -> Value {
        switch index {
        case 2:
            let normed = groupNorm(block, "attn_norm", x)
            let (q, k, v) = (pointwise(block, "attn_q", normed), pointwise(block, "attn_k", normed), pointwise(
                block, "attn_v", normed))
            let heads: Shape = [x.shape[0], 1, width]
            let mixed = block.batchAttention(
                q.reshaped(heads), k.reshaped(heads), v.reshaped(heads), scale: 1 / Double(width).squareRoot())
            return x + pointwise(block, "attn_output", mixed)
        case 5:
            return groupNorm(block, "attn_norm", x)
        default:
            let first = block.denseConvolution("conv1", groupNorm(block, "norm1", x)(.silu), width, taps: 3)
            return x + block.denseConvolution("conv2", groupNorm(block, "norm2", first)(.silu), width, taps: 3)
        }
    }

    /// A convolution of one tap.
    private func pointwise(_ block: Scope, _ name: String, _ x: Value) -> Value {
        x.matmul(block.weight("\(name).weight", [width, width, 1], .projection).reshaped([width, width]))
            + block.weight("\(name).bias", [width, 1], .bias).reshaped([width])
    }

    private func groupNorm(_ block: Scope, _ name: String, _ x: Value) -> Value {
        block.g.apply(.groupNorm(groups: groups, epsilon: groupEpsilon), x, block.g.sequences)
            * block.weight("\(name).weight", [width, 1], .scale).reshaped([width])
            + block.weight("\(name).bias", [width, 1], .bias).reshaped([width])
    }
}
