extension ShrinkPass {
    /// Lowers a choice by as much as it raises a later one of the same bound, for failures that depend on a sum.
    static let redistribute = ShrinkPass("redistribute") { search in
        search.forEachPair { search, first, second in
            guard search.best.choices[first].bound == search.best.choices[second].bound else { return }
            // An integer's sign stays when its choice changes by two, and when it becomes zero, be that a change by
            // one.
            for step in [2, 1] as [UInt64] {
                let base = search.best
                let (low, high) = (base.choices[first].value, base.choices[second])
                guard !high.isEscape else { return }
                search.largest(upTo: Int(clamping: low / step + low % step)) { search, steps in
                    let moved = UInt64(steps) * step
                    let raised = high.value + min(moved, high.bound - 1 - high.value)
                    return search.attempt(base.setting(first, to: low - min(moved, low)).setting(second, to: raised))
                }
            }
        }
    }
}
