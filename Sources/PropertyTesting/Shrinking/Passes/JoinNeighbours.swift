extension ShrinkPass {
    /// Deletes the last choice of a span and the first of the next: where those say "no more" and "another one",
    /// two lists become one.
    static let joinNeighbours = ShrinkPass("join neighbours") { search in
        var index = 1
        while index < search.best.spans.count {
            let base = search.best
            let run = base.run(endingAt: index)
            let range = base.spans[index].range
            let joined = run.count > 1 && range.lowerBound > 0 && !range.isEmpty
                && search.attempt(
                    Array(base.values[..<(range.lowerBound - 1)] + base.values[(range.lowerBound + 1)...]))
            if !joined { index += 1 }
        }
    }
}
