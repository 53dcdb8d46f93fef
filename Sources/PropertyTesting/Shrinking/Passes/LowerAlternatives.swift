extension ShrinkPass {
    /// Lowers a choice among few and makes the rest of its span simplest: another alternative needs other choices, and those
    /// that the old one had may stand in its way.
    static let lowerAlternatives = ShrinkPass("lower alternatives") { search in
        var index = 0
        while index < search.best.choices.count {
            let base = search.best
            let choice = base.choices[index]
            if choice.bound <= 16, let span = base.spans.last(where: { $0.range.contains(index) }) {
                for lower in 0..<choice.value
                where search.attempt(base.setting((index + 1)..<span.range.upperBound) { _ in 0 }.setting(index, to: lower)) { break }
            }
            index += 1
        }
    }
}
