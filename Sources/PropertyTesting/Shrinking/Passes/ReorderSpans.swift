extension ShrinkPass {
    /// Moves a span before one of the nearest earlier of its label, siblings first: sorts lists, and moves subtrees
    /// to where others are missing.
    static let reorderSpans = ShrinkPass("reorder spans") { search in
        let reach = 6
        var index = 0
        while index < search.best.spans.count {
            let base = search.best
            let (values, moving) = (base.values, base.spans[index])
            let siblings = base.run(endingAt: index).dropFirst()
            let nearest = base.spans[..<index].indices.reversed().filter {
                base.spans[$0].label == moving.label && base.spans[$0].range.upperBound <= moving.range.lowerBound
            }
            let moved = (siblings.prefix(reach) + nearest.prefix(reach)).contains { earlier in
                let start = base.spans[earlier].range.lowerBound
                return search.attempt(
                    Array(
                        values[..<start] + values[moving.range] + values[start..<moving.range.lowerBound]
                            + values[moving.range.upperBound...]))
            }
            if !moved { index += 1 }
        }
    }
}
