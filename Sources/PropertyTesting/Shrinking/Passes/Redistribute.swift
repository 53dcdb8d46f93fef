extension ShrinkPass {
    /// Lowers a choice by as much as it raises a later one of the same bound, for failures that depend on a sum.
    static let redistribute = ShrinkPass("redistribute") { search in
        search.forEachPair { search, first, second in
            guard search.best.choices[first].bound == search.best.choices[second].bound else { return }
            for step in [2, 1] as [UInt64] {
                let base = search.best
                let (low, high) = (base.choices[first].value, base.choices[second])
                search.largest(upTo: Int(clamping: low / step)) { search, steps in
                    let moved = UInt64(steps) * step
                    let raised = min(high.bound - 1 - high.value, moved) + high.value
                    return search.attempt(base.setting(first, to: low - moved).setting(second, to: raised))
                }
            }
        }
    }
}
