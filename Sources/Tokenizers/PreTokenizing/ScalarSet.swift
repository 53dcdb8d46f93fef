/// The scalars that one position of a pattern matches: some classes and ranges, or all but those, less others.
struct ScalarSet: Hashable, Sendable {
    struct Part: Hashable, Sendable {
        var classes: ScalarClass = []
        var ranges: [ClosedRange<UInt32>] = []
        var isNegated = false

        /// Beyond ASCII, white space is matched by its class alone, as in llama.cpp.
        func contains(_ scalar: UInt32, _ scalarClass: ScalarClass) -> Bool {
            let isListed =
                !classes.isDisjoint(with: scalarClass)
                || (scalar < 128 || scalarClass != .whitespace) && ranges.contains { $0.contains(scalar) }
            return isListed != isNegated
        }
    }
    private let included: Part
    private let excluded: Part?
    /// A bit for each scalar of ASCII.
    private let ascii: (UInt64, UInt64)

    init(_ included: Part, excluding excluded: Part? = nil) {
        self.included = included
        self.excluded = excluded
        var bits: (UInt64, UInt64) = (0, 0)
        for value in UInt32(0)..<128 {
            let scalarClass = ScalarClass(Unicode.Scalar(UInt8(value)))
            guard included.contains(value, scalarClass), excluded?.contains(value, scalarClass) != true
            else { continue }
            if value < 64 { bits.0 |= 1 << value } else { bits.1 |= 1 << (value - 64) }
        }
        ascii = bits
    }

    func contains(_ scalar: UInt32, _ scalarClass: ScalarClass) -> Bool {
        if scalar < 64 { return ascii.0 >> scalar & 1 == 1 }
        if scalar < 128 { return ascii.1 >> (scalar - 64) & 1 == 1 }
        return included.contains(scalar, scalarClass) && excluded?.contains(scalar, scalarClass) != true
    }

    static func == (a: ScalarSet, b: ScalarSet) -> Bool { a.included == b.included && a.excluded == b.excluded }

    func hash(into hasher: inout Hasher) {
        hasher.combine(included)
        hasher.combine(excluded)
    }

    /// Ideographs, by blocks: unassigned ones too.
    static let han: [ClosedRange<UInt32>] = [
        0x3400...0x4DBF, 0x4E00...0x9FFF, 0xF900...0xFAFF, 0x20000...0x2A6DF, 0x2A700...0x2B73F, 0x2B740...0x2B81F,
        0x2B820...0x2CEAF, 0x2CEB0...0x2EBEF, 0x2F800...0x2FA1F,
    ]
}
