import ModelGraph

extension Scope {
    /// The gated delta rule over unit queries and keys: `[T, H, S]`.
    ///
    /// - Parameters:
    ///   - q: `[T, Hk, S]`, as are the keys.
    ///   - v: `[T, H, S]`.
    ///   - decay: `[T, H, 1 or S]`, the logarithm of what is kept of the state.
    ///   - strength: `[T, H]`, how much of the state's answer to the key is replaced.
    /// Sources: Yang et al. 2024 (one decay a head); Kimi Linear 2025, section 3 (one a channel); for what is added to
    /// the squared lengths, `l2norm` of flash-linear-attention, which the authors' code calls.
    public func deltaRule(_ q: Value, _ k: Value, _ v: Value, decay: Value, strength: Value) -> Value {
        let (heads, size) = (v.shape[1], v.shape[2])
        let memory = state("delta_state", .recurrent, row: [heads, size, size])
        return g.apply(
            .gatedDeltaRule(memory, scale: 1 / Double(size).squareRoot()), q.norm(.l2, Self.unitEpsilon),
            k.norm(.l2, Self.unitEpsilon), v, decay, strength, g.slots)
    }

    /// Added to the squared lengths of what becomes unit vectors.
    static let unitEpsilon = 1e-6
}

extension Domains {
    /// Sizes of heads whose queries and keys become unit vectors. A single element would become its sign,
    /// which the least rounding may turn.
    static let unitHeadSizes = [16, 32, 64, 8, 2, 3, 24, 33, 65, 128]
}
