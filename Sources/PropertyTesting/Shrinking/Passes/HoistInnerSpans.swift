extension ShrinkPass {
    /// Replaces a span by one of the same label within it, the nearest first: a tree by its subtree.
    static let hoistInnerSpans = ShrinkPass("hoist inner spans") { search in
        var outer = 0
        while outer < search.best.spans.count {
            let base = search.best
            let hoisted = base.inner(of: outer)
                .filter { base.spans[$0].label == base.spans[outer].label }
                .sorted { (base.spans[$0].depth, $0) < (base.spans[$1].depth, $1) }
                .contains { search.attempt(base.replacing(outer, by: $0)) }
            if !hoisted { outer += 1 }
        }
    }
}
