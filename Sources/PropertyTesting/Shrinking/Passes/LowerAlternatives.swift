extension ShrinkPass {
    /// Lowers a choice among few and makes the rest of its span simplest: another alternative needs other choices,
    /// and those that the old one had may stand in its way. An escape is lowered to each alternative, be they many.
    static let lowerAlternatives = ShrinkPass("lower alternatives") { search in
        var index = 0
        while index < search.best.choices.count {
            defer { index += 1 }
            let base = search.best
            let choice = base.choices[index]
            guard choice.bound <= 16 || choice.isEscape,
                let span = base.spans.last(where: { $0.range.contains(index) })
            else { continue }
            let cleared = base.setting((index + 1)..<span.range.upperBound) { _ in 0 }
            _ = (0..<min(choice.value, choice.bound)).contains { search.attempt(cleared.setting(index, to: $0)) }
        }
    }
}
