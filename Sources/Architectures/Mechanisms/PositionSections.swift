import ModelGraph

/// How an architecture's files say which pairs turn by which of a token's positions (M-RoPE).
///
/// Tokens of a text have one position, the same in all sections, so that the rotation is the usual one; those of an
/// image have a time, a row and a column. The key has four numbers, of which the last is 0 where there are three
/// sections. Sources: Qwen2-VL (2024), section 2.1; Qwen3-VL (2025), section 2.
public struct PositionSections: Hashable, Sendable {
    public let layout: Rope.Sections.Layout
    public let count: Int
    /// Whether the key may be absent: tokens have one position then.
    public let isOptional: Bool

    /// - Parameter count: 3 or 4.
    public init(_ layout: Rope.Sections.Layout, count: Int = 3, isOptional: Bool = false) {
        (self.layout, self.count, self.isOptional) = (layout, count, isOptional)
    }

    private static let key = "rope.dimension_sections"
    private static let about = "pairs of each head that turn by time, row, column and a fourth position"

    func read(_ h: inout some Hyperparameters, pairs: Int) throws -> Rope.Sections? {
        let layouts = layouts(of: pairs)
        let sections: [Int]? = isOptional
            ? try h.optionalIntegers(Self.key, 0...65536, layouts: layouts, count: 4, Self.about)
            : try h.integers(Self.key, 0...65536, layouts: layouts, layers: 4, Self.about)
        guard let sections else { return nil }
        let used = sections.prefix(count).reduce(0, +)
        try h.require(
            sections.dropFirst(count).allSatisfy { $0 == 0 } && (used == pairs || layout == .interleaved), Self.key,
            "rope.dimension_count",
            because: "sections \(sections) of \(pairs) pairs: must be \(count), and all of the pairs")
        return Rope.Sections(layout, pairs: Array(sections.prefix(count)))
    }

    /// Sections as models have them, then those that leave one without a pair, or have all pairs in one.
    private func layouts(of pairs: Int) -> [[Int]] {
        let (third, part) = (pairs / 3, 5 * pairs / 16)
        let usual = switch (layout, count) {
        case (.consecutive, 4): [pairs - 3 * (pairs / 4), pairs / 4, pairs / 4, pairs / 4]
        case (.consecutive, _): [pairs - 2 * (3 * pairs / 8), 3 * pairs / 8, 3 * pairs / 8, 0]
        case (.interleaved, _): [(pairs + 2) / 3, (pairs + 1) / 3, third, 0]
        }
        let spread = count == 4 ? [1, 0, 0, pairs - 1] : [pairs - 2 * part, part, part, 0]
        return [usual, spread, [pairs, 0, 0, 0], [pairs - third, 0, third, 0], [pairs - third, third, 0, 0]]
            .filter { $0.reduce(0, +) == pairs }
    }
}
