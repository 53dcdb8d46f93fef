import ModelGraph

/// Bounds between which queries, keys and values are cut off before anything else is done to them, if a model has them.
///
/// Sources: MPT (MosaicML 2023) and OLMo (Groeneveld et al. 2024), whose configurations call it `clip_qkv`.
public struct ClampedProjections: Hashable, Sendable {
    /// 0: nothing is cut off.
    let limit: Double

    public init(_ h: inout some Hyperparameters) throws {
        limit = try h.real(
            "attention.clamp_kqv", 0...1e6, fuzz: [0.5, 0.125, 8, 0], default: 0,
            "bound of queries, keys and values; 0: none")
    }

    public func callAsFunction(
        _ projected: (queries: Value, keys: Value, values: Value)
    ) -> (queries: Value, keys: Value, values: Value) {
        guard limit > 0 else { return projected }
        return (
            projected.queries.clamped(-limit, limit), projected.keys.clamped(-limit, limit),
            projected.values.clamped(-limit, limit)
        )
    }
}
