extension ShrinkPass {
    /// Lowers a choice that says how many others follow, and deletes as many of them. Lowering it alone cuts the
    /// last ones off; often it is not those that can go.
    ///
    /// What a choice counts is seen by lowering it: the last elements of one or more lists are not drawn then. The same
    /// elements are deleted from all the lists, the first elements first.
    static let lowerCounts = ShrinkPass("lower counts") { search in
        var index = 0
        while index < search.best.choices.count {
            defer { index += 1 }
            let base = search.best
            let count = base.choices[index].value
            guard !search.lists(countedBy: index).isEmpty else { continue }
            search.largest(upTo: Int(clamping: count)) { search, less in
                search.attempt(base.setting(index, to: count - UInt64(less)))
            }
            search.deleteElements(countedBy: index)
        }
    }
}

extension ShrinkSearch {
    fileprivate mutating func deleteElements(countedBy index: Int) {
        // Elements are numbered from the last, which is where the lists are known to end.
        var element = Int(clamping: best.choices[index].value)
        while element > 0 {
            let base = best
            let count = base.choices[index].value
            let lists = lists(countedBy: index)
            let length = lists.map(\.count).min() ?? 0
            element = min(element, length - 1)
            guard element > 0 else { return }
            let deleted = largest(upTo: min(Int(clamping: count), element)) { search, less in
                var edited = base.setting(index, to: count - UInt64(less))
                for elements in lists.reversed() {
                    edited = edited.removing(
                        elements[element].lowerBound..<elements[element - less + 1].upperBound)
                }
                // Unless as many fewer are drawn, something else was deleted than is counted.
                return search.attempt(edited) { $0.choices.count == edited.choices.count }
            }
            element -= max(deleted, 1)
        }
    }

    /// The lists that the choice at `index` gives the length of, each as the ranges of its elements from the last to
    /// the first. Where elements are no spans, the first may be no elements but what precedes them.
    fileprivate func lists(countedBy index: Int) -> [[Range<Int>]] {
        let count = best.choices[index].value
        guard count > 0 else { return [] }
        return unread(best.setting(index, to: count - 1)).ranges.map { last in
            if let span = best.spans.firstIndex(where: { $0.range == last }) {
                return best.run(endingAt: span).map { best.spans[$0].range }
            }
            let around = best.spans.last { $0.range.contains(last) }?.range.lowerBound ?? 0
            let start = max(around, index + 1)
            return stride(from: last.lowerBound, through: start, by: -last.count)
                .prefix(Int(clamping: count) + 1).map { $0..<$0 + last.count }
        }
    }
}

extension [Int] {
    /// The ascending numbers as ranges of consecutive ones.
    fileprivate var ranges: [Range<Int>] {
        reduce(into: []) { ranges, number in
            if let last = ranges.last, last.upperBound == number {
                ranges[ranges.count - 1] = last.lowerBound..<number + 1
            } else {
                ranges.append(number..<number + 1)
            }
        }
    }
}
