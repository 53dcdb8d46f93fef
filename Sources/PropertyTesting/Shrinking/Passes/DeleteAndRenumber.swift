extension ShrinkPass {
    /// Deletes a span and lowers by one all choices of a bound that occurs in it: numbers that refer to places
    /// in a list still do when an earlier element is gone.
    static let deleteAndRenumber = ShrinkPass("delete and renumber") { search in
        var index = search.best.spans.count
        while index > 0 {
            index = min(index, search.best.spans.count) - 1
            guard index >= 0 else { return }
            let base = search.best
            let range = base.spans[index].range
            for bound in Set(base.choices[range].map(\.bound)).sorted() where bound > 2 {
                let rest = base.removing(range)
                let numbers = rest.choices.indices.filter {
                    rest.choices[$0].bound == bound && rest.choices[$0].value > 0
                }
                if search.attempt(rest.setting(numbers) { $0 - 1 }) { break }
            }
        }
    }
}
