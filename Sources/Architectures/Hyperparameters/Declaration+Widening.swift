extension Declaration {
    /// Takes in what the same key is in another model, whose other keys have other values.
    mutating func widen(to other: Declaration) {
        if isInformation != other.isInformation {
            // For information only in some models.
            if isInformation { self = other }
            absence = .derived
            return
        }
        domain.widen(to: other.domain)
        if case .value(let mine)? = absence, case .value(let others)? = other.absence, mine != others {
            absence = .derived
        }
    }
}

extension Declaration.Domain {
    fileprivate mutating func widen(to other: Self) {
        switch (self, other) {
        case (.integer(let valid, let fuzz), .integer(let otherValid, let otherFuzz)):
            self = .integer(valid: valid.union(otherValid), fuzz: fuzz + otherFuzz.filter { !fuzz.contains($0) })
        case (.real(let valid, let fuzz), .real(let otherValid, let otherFuzz)):
            self = .real(valid: valid.union(otherValid), fuzz: fuzz + otherFuzz.filter { !fuzz.contains($0) })
        case (.pattern(let valid, let fuzz, let count), .pattern(let otherValid, let otherFuzz, _)):
            self = .pattern(
                valid: valid.union(otherValid), fuzz: fuzz + otherFuzz.filter { !fuzz.contains($0) }, count: count)
        case (.perLayer(var domain, let count), .perLayer(let otherDomain, _)):
            domain.widen(to: otherDomain)
            self = .perLayer(domain, count: count)
        case (.layouts(let layouts, var domain, let count), .layouts(let otherLayouts, let otherDomain, _)):
            domain.widen(to: otherDomain)
            self = .layouts(layouts + otherLayouts.filter { !layouts.contains($0) }, of: domain, count: count)
        case (.text(let options), .text(let others)):
            self = .text(options + others.filter { !options.contains($0) })
        case (.labels(let counts, let areNames), .labels(let others, _)):
            self = .labels(counts: counts + others.filter { !counts.contains($0) }, areNames: areNames)
        case (.option(let options), .option(let others)):
            self = .option(options + others.filter { other in !options.contains { $0.value == other.value } })
        default:
            break
        }
    }
}

extension ClosedRange {
    fileprivate func union(_ other: ClosedRange) -> ClosedRange {
        Swift.min(lowerBound, other.lowerBound)...Swift.max(upperBound, other.upperBound)
    }
}
