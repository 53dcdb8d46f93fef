import ModelGraph

/// A mixture of experts each of which is weighed among those that were not chosen before it.
///
/// Source: Liu et al. 2023 (SparseMixer) and 2024 (GRIN), as `sparsemixer` of transformers' `modeling_phimoe.py` has
/// it.
extension Scope {
    /// `[T, D] → [T, D]`: experts of greatest logits, and for each the softmax over those not chosen before it whose
    /// logits are not less than its own by more than `2 · jitter` times the larger of its own and their magnitude.
    func sparselyMixed(_ x: Value, _ experts: Experts, jitter: Double, _ tensors: ExpertTensors = .init()) -> Value {
        let logits = routerLogits(x, experts, tensors)
        let selected = g.apply(.topExperts(experts.routing), logits)
        // The greatest first: what was not chosen before number `i` are the columns from `i` on.
        let sorted = g.apply(.takeExperts, logits, g.apply(.topExperts(Routing(used: experts.count)), logits))
        let weights = (0..<experts.used).map { i in
            let rest = sorted.columns(i, experts.count - i)
            let best = rest.columns(0, 1)
            let behind = rest - best
            let magnitude = rest(.relu) + (-rest)(.relu)
            let tolerance = (magnitude + (-(magnitude - best))(.relu)) * (2 * jitter)
            // 1 where the difference is tolerated, 0 elsewhere: no number is so small that it would be between.
            let isNear = ((behind + tolerance) * Self.steepness + 1).clamped(0, 1)
            let exponentials = behind(.exp) * isNear
            return exponentials.columns(0, 1) / exponentials.sum(1)
        }
        return mixture(
            x, (selected, g.apply(.concatenate(axis: 1), weights)), count: experts.count, size: experts.size, tensors)
    }

    private static let steepness = 1e30
}
