import ModelGraph

/// Qwen3.8-Flash-Next: Qwen3.5's mixers, of which attention sees the best windows only, and gated experts, between
/// several streams of residuals that each of them gathers from and scatters to. Its layers of n-gram embeddings are not
/// supported. Source: `Qwen4ExpForCausalLM`, the code of its authors in transformers.
public struct Qwen4Exp: Architecture {
    public static let name = "qwen4exp"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let mixers: DeltaNetHybrid
    let indexer: WindowIndexer
    let streams: GatedStreams
    let experts: GatedSharedExpert

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, layers: LayerLayouts.hybridDepths)
        traits = try Traits(decoder: &h, bidirectional: false)
        normalization = try Normalization(&h, .rms, inner: Scope.unitEpsilon)
        mixers = try DeltaNetHybrid(&h, dimensions, .inTurns, sections: true)
        indexer = try WindowIndexer(
            &h, dimensions, isRecurrent: mixers.isRecurrent, rotated: mixers.rotary.dimensions)
        streams = try GatedStreams(&h, dimensions, normalization)
        experts = try GatedSharedExpert(&h, dimensions, groups: false)
    }

    public func build(_ g: GraphBuilder) {
        var x = streams.begin(g.tokenEmbedding(dimensions))
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            x = streams.around(block, "hc_attn", x) { x in
                mixers.mix(block, layer, x, normalization, indexer: indexer, gate: .sigmoid)
            }
            x = streams.around(block, "hc_ffn", x) { experts.feed(block, $0) }
        }
        g.layer = nil
        g.logits(streams.gather(g.model, "output_hc", streams.normed(g.model, "output_hc", x)), dimensions, nil)
    }
}

/// Several streams of residuals: what each block sees is gathered from all of them by gates, and what it gives is added
/// to each by a weight.
///
/// Source: `Qwen4ExpTextGatedResidual`, the code of its authors in transformers.
public struct GatedStreams: Hashable, Sendable {
    public let count: Int
    /// Inner width of the map to gates.
    public let rank: Int
    let width: Int
    let normalization: Normalization

    public init(_ h: inout some Hyperparameters, _ dimensions: Dimensions, _ normalization: Normalization) throws {
        count = try h.integer("hyper_connection.count", 2...64, fuzz: [4, 2, 3], "streams of residuals")
        rank = try h.integer(
            "hyper_connection.low_rank", 1...65536, fuzz: [16, 1, 3, 32, 33], "inner width of the map to gates")
        width = dimensions.embedding
        self.normalization = normalization
    }

    /// `[T, D] → [T, N · D]`: the same in each stream.
    func begin(_ x: Value) -> Value {
        x.reshaped([x.shape[0], 1, width]).broadcast([x.shape[0], count, width]).reshaped([x.shape[0], count * width])
    }

    /// `[T, N · D]` normed stream by stream.
    func normed(_ scope: Scope, _ name: String, _ x: Value) -> Value {
        let scale = scope.weight("\(name)_norm.weight", [count * width], .scale).reshaped([count, width])
        return (x.reshaped([x.shape[0], count, width]).norm(.rms, normalization.epsilon) * scale).reshaped(x.shape)
    }

    /// `[T, N · D] → [T, D]`: the mean of the normed streams behind their gates.
    func gather(_ scope: Scope, _ name: String, _ normed: Value) -> Value {
        let tokens = normed.shape[0]
        let inner = (scope.linear("\(name)_down", normed, rank) * (1 / Double(count)))(.silu)
        let gated = normed * scope.linear("\(name)_up", inner, count * width)(.sigmoid)
        return gated.reshaped([tokens, count, width]).sum(1).reshaped([tokens, width]) * (1 / Double(count))
    }

    /// The streams after a block, `[T, N · D]`.
    func around(_ block: Scope, _ name: String, _ x: Value, _ transform: (Value) -> Value) -> Value {
        let tokens = x.shape[0]
        let normed = normed(block, name, x)
        let made = transform(gather(block, name, normed)).reshaped([tokens, 1, width]).broadcast([tokens, count, width])
        let weights = (block.linear("\(name)_inject", normed, count) * (1 / Double(count)))(.sigmoid) * 2
        return x + (made * weights.reshaped([tokens, count, 1])).reshaped(x.shape)
    }
}
