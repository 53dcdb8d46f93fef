extension ShrinkPass {
    /// Lowers a choice that says how many others follow, and deletes as many of them. Lowering it alone cuts the
    /// last ones off; often it is not those that can go.
    ///
    /// Which choices are counts is seen by lowering them: fewer choices are drawn then.
    static let lowerCounts = ShrinkPass("lower counts") { search in
        var index = 0
        while index < search.best.choices.count {
            defer { index += 1 }
            let base = search.best
            let count = base.choices[index].value
            guard count > 0, let fewer = search.preview(base.setting(index, to: count - 1)),
                fewer.choices.count < base.choices.count
            else { continue }
            search.largest(upTo: Int(clamping: count)) { search, less in
                search.attempt(base.setting(index, to: count - UInt64(less)))
            }
            let length = fewer.spans.count < base.spans.count ? nil : base.choices.count - fewer.choices.count
            deleteCounted(by: index, length: length, &search)
        }
    }

    /// Deletes what the choice at `index` counts: spans, or where those have no part in it, choices `length` at a time.
    private static func deleteCounted(by index: Int, length: Int?, _ search: inout ShrinkSearch) {
        var (run, first) = (0, 0)
        while true {
            let base = search.best
            let runs = length.map { [base.blocks(after: index, length: $0)] } ?? base.runs(after: index)
            guard run < runs.count else { return }
            let counted = runs[run].dropFirst(first)
            let count = base.choices[index].value
            let deleted = search.largest(upTo: min(Int(clamping: count), counted.count)) { search, less in
                let range = counted[first].lowerBound..<counted[first + less - 1].upperBound
                // Unless that many fewer are drawn, what was deleted is not what is counted.
                return search.attempt(base.removing(range).setting(index, to: count - UInt64(less))) {
                    $0.choices.count == base.choices.count - range.count
                }
            }
            if deleted == 0 { first += 1 }
            if first >= runs[run].count { (run, first) = (run + 1, 0) }
        }
    }
}

extension Choices.Recording {
    /// The choices after `index` in blocks of one length.
    fileprivate func blocks(after index: Int, length: Int) -> [Range<Int>] {
        stride(from: index + 1, through: choices.count - length, by: length).map { $0..<$0 + length }
    }

    /// The spans after `index`, siblings of one label that touch each other in one run.
    fileprivate func runs(after index: Int) -> [[Range<Int>]] {
        var runs: [[Range<Int>]] = []
        var taken: Set<Int> = []
        for last in spans.indices.reversed()
        where spans[last].range.lowerBound > index && !spans[last].range.isEmpty && !taken.contains(last) {
            let run = run(endingAt: last).filter { spans[$0].range.lowerBound > index }
            taken.formUnion(run)
            runs.append(run.reversed().map { spans[$0].range })
        }
        return runs.reversed()
    }
}
