import ModelGraph

/// Learned biases of the attention scores by bucketed distance.
///
/// Source: Raffel et al. 2020 (T5), section 2.1.
public struct RelativePositionBias: Hashable, Sendable {
    public let buckets: Int
    /// Distances from here on share the last bucket: no key says it.
    public static let maxDistance = 128

    public init(_ h: inout some Hyperparameters) throws {
        buckets = try h.integer(
            "attention.relative_buckets_count", 4...254, fuzz: [32, 8, 16, 4, 64, 6, 12],
            "buckets of relative positions")
    }

    /// The table of a layer; layers without one take that of the first, which has one.
    public func table(_ block: Scope, first: Value?, heads: Int) -> Value {
        let (name, shape) = ("attn_rel_b.weight", [buckets, heads] as Shape)
        guard let first else { return block.weight(name, shape, .positionBias) }
        return block.optionalWeight(name, shape, .positionBias) ?? first
    }
}

extension GraphBuilder {
    /// `[H, T, T]`: biases between the tokens of the batch, of both directions.
    public func batchBias(_ table: Value) -> Value {
        applyShared(
            .relativePositionBias(bidirectional: true, maxDistance: RelativePositionBias.maxDistance), table, positions,
            positions)
    }
    /// `[H, T, C]`: biases of the cells before each token.
    public func cacheBias(_ table: Value) -> Value {
        applyShared(
            .relativePositionBias(bidirectional: false, maxDistance: RelativePositionBias.maxDistance), table,
            positions,
            cellPositions)
    }
}
