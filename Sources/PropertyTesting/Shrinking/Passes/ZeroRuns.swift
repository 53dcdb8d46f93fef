extension ShrinkPass {
    /// Makes runs of choices the simplest, each run as long as possible: of many choices few matter, and this
    /// clears those between them at the cost of a logarithm.
    static let zeroRuns = ShrinkPass("zero runs") { search in
        var index = 0
        while index < search.best.choices.count {
            let base = search.best
            let nonzero = (index..<base.choices.count).filter { base.choices[$0].value > 0 }
            guard let first = nonzero.first else { return }
            let cleared = search.largest(upTo: nonzero.count) { search, count in
                search.attempt(base.setting(nonzero[..<count]) { _ in 0 })
            }
            // The one after the run is what ended it.
            index = cleared < nonzero.count ? nonzero[cleared] + 1 : base.choices.count
            if cleared == 0 { index = first + 1 }
        }
    }
}
