/// Splits each piece of a text into smaller ones; what it does not match between matches is a piece too.
enum Splitter: Sendable {
    case pattern(Pattern)
    /// Groups of three in each run of numbers, counted from the run's end.
    case groups(ScalarSet, GroupEdge)

    enum GroupEdge: Sendable {
        /// A cut before each whole group.
        case leading
        /// A cut after each group, a shorter first one included: what precedes the run stays with its first group.
        case trailing
    }

    func split(_ text: ScalarText, _ pieces: [Range<Int>], _ matcher: inout PatternMatcher) -> [Range<Int>] {
        var result: [Range<Int>] = []
        result.reserveCapacity(pieces.count)
        for piece in pieces {
            var start = piece.lowerBound
            func cut(at position: Int) {
                if position > start { result.append(start..<position) }
                start = position
            }
            switch self {
            case .pattern(let pattern):
                matcher.forEachMatch(of: pattern, in: text, piece) { match in
                    cut(at: match.lowerBound)
                    cut(at: match.upperBound)
                }
            case .groups(let set, let edge):
                var position = piece.lowerBound
                while position < piece.upperBound {
                    let first = position
                    while position < piece.upperBound, text.matches(set, position) { position += 1 }
                    let remainder = (position - first) % 3
                    switch edge {
                    case .leading: for end in stride(from: first + remainder, to: position, by: 3) { cut(at: end) }
                    case .trailing:
                        for end in stride(from: first + (remainder == 0 ? 3 : remainder), through: position, by: 3) {
                            cut(at: end)
                        }
                    }
                    position += position < piece.upperBound ? 1 : 0
                }
            }
            cut(at: piece.upperBound)
        }
        return result
    }
}
