extension ShrinkPass {
    /// Lowers each choice on its own as far as it goes.
    static let minimizeChoices = ShrinkPass("minimize choices") { search in
        var index = 0
        while index < search.best.choices.count {
            let base = search.best
            search.minimize(base.choices[index].value) { search, value in
                search.attempt(base.setting(index, to: value))
            }
            index += 1
        }
    }
}

extension ShrinkSearch {
    /// Looks for a value lower than `value` that `works`. Every attempt is below the last one that worked.
    public mutating func minimize(_ value: UInt64, _ works: (inout ShrinkSearch, UInt64) -> Bool) {
        var value = value
        func attempt(_ search: inout ShrinkSearch, _ lower: UInt64) -> Bool {
            guard lower < value, works(&search, lower) else { return false }
            value = lower
            return true
        }
        for lower in 0...1 as ClosedRange<UInt64> where value > lower && attempt(&self, lower) { return }
        // Alternatives have no order to speak of.
        if value <= 8 {
            for lower in 2..<max(value, 2) where attempt(&self, lower) { return }
            return
        }
        // Fewer bits, then less by a number that doubles. Even distances first: integers on the two sides of the
        // simplest alternate.
        let (high, low) = (value, value & 1)
        largest(upTo: UInt64.bitWidth - high.leadingZeroBitCount) { search, bits in
            attempt(&search, high >> UInt64(bits) & ~1 | low)
        }
        for step in [2, 1] as [UInt64] {
            let start = value
            largest(upTo: Int(clamping: start / step)) { search, steps in
                attempt(&search, start - UInt64(steps) * step)
            }
        }
    }
}
