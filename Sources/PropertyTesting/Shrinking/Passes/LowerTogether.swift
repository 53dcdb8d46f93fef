extension ShrinkPass {
    /// Lowers choices that depend on each other: equal ones to the same value, then pairs by the same distance.
    static let lowerTogether = ShrinkPass("lower together") { search in
        for choice in Set(search.best.choices).sorted(by: { ($0.bound, $0.value) < ($1.bound, $1.value) })
        where choice.value > 0 {
            let base = search.best
            let equal = base.choices.indices.filter { base.choices[$0] == choice }
            guard equal.count > 1 else { continue }
            search.minimize(choice.value) { search, value in search.attempt(base.setting(equal) { _ in value }) }
        }
        search.forEachPair { search, first, second in
            let base = search.best
            let limit = min(base.choices[first].value, base.choices[second].value)
            for step in [2, 1] as [UInt64] {
                search.largest(upTo: Int(clamping: limit / step)) { search, steps in
                    search.attempt(base.setting([first, second]) { $0 - UInt64(steps) * step })
                }
            }
        }
    }
}

extension ShrinkSearch {
    /// Visits the pairs of choices that are not simplest and have at most three such between them; flags have no part
    /// in it.
    mutating func forEachPair(_ visit: (inout ShrinkSearch, _ first: Int, _ second: Int) -> Void) {
        func isNumber(_ choice: Choices.Choice) -> Bool { choice.value > 0 && choice.bound > 2 }
        var first = 0
        while first < best.choices.count {
            var (second, seen) = (first + 1, 0)
            while second < best.choices.count, isNumber(best.choices[first]), seen < 4 {
                if isNumber(best.choices[second]) {
                    visit(&self, first, second)
                    seen += 1
                }
                second += 1
            }
            first += 1
        }
    }
}
