extension ShrinkPass {
    /// Makes all choices of a span the simplest, the outer spans before the inner: what cannot go may at least say
    /// nothing.
    static let simplifySpans = ShrinkPass("simplify spans") { search in
        var depth = 0
        while search.best.spans.contains(where: { $0.depth == depth }) {
            var index = 0
            while index < search.best.spans.count {
                let base = search.best
                let span = base.spans[index]
                if span.depth == depth { search.attempt(base.setting(span.range) { _ in 0 }) }
                index += 1
            }
            depth += 1
        }
    }
}
