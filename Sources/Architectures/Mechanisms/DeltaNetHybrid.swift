import ModelGraph

/// The mixers of Qwen3-Next and Qwen3.5: gated delta nets, and every few layers attention with a gate.
///
/// Sources: the Qwen team's Qwen3-Next (2025) and Qwen3.5 (2026), in transformers.
public struct DeltaNetHybrid: Hashable, Sendable {
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let deltaNet: GatedDeltaNet
    let arrangement: GatedDeltaNet.Arrangement
    /// Of each block; prediction blocks are attention.
    let isRecurrent: [Bool]

    /// - Parameter sections: whether positions have sections (time, height, width), which are alike for text.
    public init(
        _ h: inout some Hyperparameters, _ dimensions: Dimensions, _ arrangement: GatedDeltaNet.Arrangement,
        sections: Bool = false
    ) throws {
        self.arrangement = arrangement
        attention = try GroupedQueryAttention(&h, dimensions)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox)
        if sections {
            let pairs = rotary.dimensions / 2
            let interleaved = (0..<4).map { $0 == 3 ? 0 : (pairs + 2 - $0) / 3 }
            _ = try h.integers(
                "rope.dimension_sections", 0...32768, layouts: [interleaved], layers: 4, default: interleaved,
                "pairs that are rotated by time, height and width; the positions of text are alike in all")
        }
        deltaNet = try GatedDeltaNet(&h)
        isRecurrent = try h.recurrentLayers(dimensions, period: 4, "which layers are gated delta nets")
    }

    /// `[T, D] → [T, D]`
    /// - Parameters:
    ///   - indexer: picks what attention sees.
    ///   - gate: the activation of the gate of delta nets.
    ///   - keepsKeys: whether attention has a cache: without, tokens see those of their batch.
    public func mix(
        _ block: Scope, _ layer: Int, _ x: Value, _ normalization: Normalization, indexer: WindowIndexer? = nil,
        gate: Unary = .silu, keepsKeys: Bool = true
    ) -> Value {
        if isRecurrent[layer] { return deltaNet.mix(block, x, normalization, arrangement, gate: gate) }
        let (tokens, cells, heads) = (x.shape[0], block.g.batch.cells, attention.heads[layer])
        let bias = indexer.map {
            $0.select(block, x, rope: rotary.rope(), normalization).reshaped([1, tokens, cells])
                .broadcast([heads, tokens, cells])
        }
        let (queriesAndGates, k, v) = attention.project(block, layer, x, gated: true)
        let size = attention.keySize
        let q = block.norm("attn_q_norm", queriesAndGates.columns(0, size), normalization)
        let (rope, keys) = (rotary.rope(), block.norm("attn_k_norm", k, normalization))
        let mixed = keepsKeys
            ? block.cachedAttention(q, keys, v, scale: attention.scale, rope: rope, bias: bias)
            : block.batchAttention(
                q.rotated(rope), keys.rotated(rope), v, scale: attention.scale, mask: Mask(causal: true))
        let gate = queriesAndGates.columns(size, size).reshaped(mixed.shape)
        return block.linear("attn_output", mixed * gate(.sigmoid), x.shape[1], bias: .rare)
    }
}

/// Experts beside one that every token uses behind a gate of its own.
public struct GatedSharedExpert: Hashable, Sendable {
    let experts: Experts
    let shared: SharedExperts

    public init(_ h: inout some Hyperparameters, _ dimensions: Dimensions, groups: Bool) throws {
        let feedForward = try h.feedForwardLength("hidden units from which absent sizes follow")
        var options = Experts.Options()
        options.sharesSize = true
        options.groups = groups
        experts = try Experts(&h, dimensions, options, feedForward: feedForward)
        shared = try SharedExperts(&h, beside: experts, .size(default: feedForward), isGated: true)
    }

    /// `[T, D] → [T, D]`
    public func feed(_ block: Scope, _ x: Value) -> Value {
        var tensors = Scope.ExpertTensors()
        tensors.mayFuseGateUp = true
        return block.mixture(x, experts, tensors, beside: shared)
    }
}
