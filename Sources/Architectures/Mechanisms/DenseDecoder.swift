import ModelGraph

/// An architecture that is a `DenseDecoder` with options of its own.
public protocol DenseArchitecture: Architecture {
    var decoder: DenseDecoder { get }
}

extension DenseArchitecture {
    public var dimensions: Dimensions { decoder.dimensions }
    public var traits: Traits { decoder.traits }
    public func build(_ g: GraphBuilder) { decoder.build(g) }
}

/// What most dense decoders are: blocks of rotated grouped-query attention and a feed-forward network, each after an
/// RMS norm.
///
/// Source: Touvron et al. 2023 (LLaMA).
public struct DenseDecoder: Sendable {
    /// Where an architecture is not as Llama is.
    public struct Options: Sendable {
        public var pairing: Rope.Pairing
        public var headSize = GroupedQueryAttention.HeadSize.declaredAlike
        /// Whether every element of a head is rotated.
        public var rotatesWholeHeads = true
        public var scalings: [RotaryEmbedding.Scaling] = [.linear, .none, .yarn]
        /// Whether the model may have factors of its rotation frequencies.
        public var hasFrequencyFactors = false
        public var queryKeyNorms = QueryKeyNorms.none
        /// Of the attention's output.
        public var outputBias = Scope.Bias.rare
        public var feedForwardNorm = "ffn_norm"
        public var activation = Activation.gated(.swiglu)
        public var feedForwardBias = Scope.Bias.rare
        /// Gate and up of the feed-forward network are one matrix.
        public var fusesGateUp = false
        public var tying = GraphBuilder.Tying.optional
        /// Tokens see the whole batch, of which nothing is kept.
        public var isBidirectional = false
        /// Every so many layers, one has no positions; nil: all have.
        public var unrotatedStep: Int?
        /// Blocks that predict further tokens may follow.
        public var mayPredict = false

        public init(pairing: Rope.Pairing) { self.pairing = pairing }
    }

    /// Whether queries and keys of each head are normed, with weights that all heads share; after their rotation in
    /// causal models all of whose layers have positions.
    public enum QueryKeyNorms: Hashable, Sendable { case none, beforeRotation, afterRotation }

    public let dimensions: Dimensions
    public let traits: Traits
    public let normalization: Normalization
    public let attention: GroupedQueryAttention
    public let rotary: RotaryEmbedding
    public let feedForward: Int
    public let options: Options
    /// Another base of the rotation frequencies than the one of the key.
    public var base: Double?

    public init(_ h: inout some Hyperparameters, _ options: Options) throws {
        self.options = options
        let splits = options.headSize == .splitEmbedding
        dimensions = try Dimensions(
            &h, embeddings: splits ? Domains.evenSizes : Domains.sizes,
            layers: options.unrotatedStep.map { [1, 2, 3, $0, $0 + 1] } ?? [1, 2, 3, 4],
            predictionBlocks: options.mayPredict)
        traits = try options.isBidirectional
            ? Traits(bidirectional: &h) : Traits(decoder: &h, predictionBlocks: dimensions.predictionBlocks)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions, headSize: options.headSize)
        rotary = try RotaryEmbedding(
            &h, dimensions, headSize: attention.keySize, pairing: options.pairing, whole: options.rotatesWholeHeads,
            scalings: options.scalings)
        feedForward = try h.feedForwardLength()
    }

    public func build(_ g: GraphBuilder) {
        let factors = options.hasFrequencyFactors ? rotary.factors(g) : nil
        let transform = { block, layer, x in self.transform(block, layer, x, factors: factors) }
        if case .predict(let number) = g.batch.stage {
            return g.prediction(number, dimensions, normalization, transform: transform)
        }
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers { x = transform(g.block(layer), layer, x) }
        g.logits(x, dimensions, normalization, tying: options.tying)
    }

    /// What a block does: `[T, D] → [T, D]`.
    public func transform(_ block: Scope, _ layer: Int, _ x: Value, factors: Value?) -> Value {
        let mixed = x + attend(block, layer, block.norm("attn_norm", x, normalization), factors: factors)
        return mixed + block.feedForward(
            block.norm(options.feedForwardNorm, mixed, normalization), size: feedForward, options.activation,
            bias: options.feedForwardBias, isFused: options.fusesGateUp)
    }

    private func attend(_ block: Scope, _ layer: Int, _ x: Value, factors: Value?) -> Value {
        let rope = options.unrotatedStep.map { (layer + 1) % $0 == 0 } ?? false ? nil : rotary.rope(base: base)
        var (q, k, v) = attention.project(block, layer, x)
        if options.queryKeyNorms == .beforeRotation {
            (q, k) = (block.norm("attn_q_norm", q, normalization), block.norm("attn_k_norm", k, normalization))
        }
        let mixed: Value
        if options.isBidirectional {
            if let rope { (q, k) = (q.rotated(rope, factors: factors), k.rotated(rope, factors: factors)) }
            mixed = block.batchAttention(q, k, v, scale: attention.scale)
        } else if options.queryKeyNorms == .afterRotation, let rope {
            mixed = block.cachedAttention(
                normedAfterRotation: q, k, v, normalization, scale: attention.scale, mask: traits.mask, rope: rope,
                factors: factors)
        } else {
            mixed = block.cachedAttention(
                q, k, v, scale: attention.scale, mask: traits.mask, rope: rope, factors: factors)
        }
        return block.linear("attn_output", mixed, dimensions.embedding, bias: options.outputBias)
    }
}

extension Traits {
    /// Of a model whose tokens always see the whole batch, whether or not its file says so.
    init(bidirectional h: inout some Hyperparameters, poolings: [Pooling] = [.none]) throws {
        _ = try h.boolean(
            "attention.causal", among: [false], default: false, "whether tokens see no later ones: never")
        let pooling = try poolings.count == 1
            ? poolings[0]
            : h.option("pooling_type", among: poolings, default: .none, "how the embeddings of a sequence become one")
        self.init(isBidirectional: true, pooling: pooling, classifierPooling: .last)
    }
}
