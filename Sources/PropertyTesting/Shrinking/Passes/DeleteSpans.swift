extension ShrinkPass {
    /// Deletes spans, the outer before the inner and the last before the first, since later choices depend on
    /// earlier ones more than the other way round. Where a span goes, it tries to take ever more of its earlier
    /// siblings with it, so that a long list of which little matters costs the logarithm of its length.
    static let deleteSpans = ShrinkPass("delete spans") { search in
        var depth = 0
        while search.best.spans.contains(where: { $0.depth == depth }) {
            var index = search.best.spans.count
            while index > 0 {
                index = min(index, search.best.spans.count) - 1
                guard index >= 0 else { break }
                let base = search.best
                let span = base.spans[index]
                guard span.depth == depth, !span.range.isEmpty else { continue }
                let run = base.run(endingAt: index)
                let deleted = search.largest(upTo: run.count) { search, count in
                    let start = base.spans[run[count - 1]].range.lowerBound
                    return search.attempt(base.removing(start..<span.range.upperBound))
                }
                if deleted > 0 { index = run[deleted - 1] }
            }
            depth += 1
        }
    }
}
