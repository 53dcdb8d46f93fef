import Foundation
import ModelGraph

/// Positions of several sections, and norms of groups over a sequence.
extension FaultCatalogue {
    static let sections: [Fault] = [
        pairs(
            "rope-full-section-unturned", "RoPE of interleaved sections leaves out pairs beyond those of their section"
        ) { pair, sections in
            sections.layout == .interleaved && pair % 3 < sections.pairs.count && pair >= 3 * sections.pairs[pair % 3]
        },
        pairs("rope-fourth-section-unturned", "RoPE leaves out the pairs of the fourth section") { pair, sections in
            sections.layout == .consecutive && sections.section(ofPair: pair) == 3
        },
        Fault(
            "rope-sections-begin-anew", "RoPE gives the first pair of each section the greatest frequency", tokens: 2
        ) { site in
            guard case .rope(let rope, false) = site.op, let sections = rope.sections, sections.layout == .consecutive,
                sections.pairs.dropFirst().contains(where: { $0 > 0 }), site.isInput(1, .positions)
            else { return nil }
            return .result { y, x in
                let starts = sections.pairs.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1) }
                for row in 0..<y.shape.rows {
                    let position = x[1][row / y.shape[1]]
                    for pair in 0..<rope.dimensions / 2 {
                        let within = pair - starts[sections.section(ofPair: pair)]
                        turn(&y, x[0], row, pair, rope, by: position * rope.frequency(pair: within, factor: 1))
                    }
                }
            }
        },
        groupNorm("group-norm-over-batch", "group norms are over all tokens of a batch, of other sequences too") {
            $0.map { _ in 1 }
        },
        groupNorm("group-norm-of-each-token", "group norms are of each token, not over its sequence") { sequences in
            for token in sequences.values.indices { sequences[token] = Double(1 << min(token, 30)) }
        },
        Fault("group-norm-of-all-columns", "group norms take all columns for one group") { site in
            guard case .groupNorm(let groups, let epsilon) = site.op, groups > 1 else { return nil }
            return .op(.groupNorm(groups: 1, epsilon: epsilon), of: site)
        },
    ]

    /// A fault in which some pairs do not turn.
    private static func pairs(
        _ name: String, _ about: String, _ areUnturned: @escaping @Sendable (Int, Rope.Sections) -> Bool
    ) -> Fault {
        Fault(name, about, tokens: 2) { site in
            guard case .rope(let rope, _) = site.op, let sections = rope.sections, site.isInput(1, .positions)
            else { return nil }
            let unturned = (0..<rope.dimensions / 2).filter { areUnturned($0, sections) }
            guard !unturned.isEmpty else { return nil }
            return .result { y, x in
                for row in 0..<y.shape.rows {
                    for pair in unturned { turn(&y, x[0], row, pair, rope, by: 0) }
                }
            }
        }
    }

    private static func turn(
        _ y: inout Elements, _ x: Elements, _ row: Int, _ pair: Int, _ rope: Rope, by angle: Double
    ) {
        let first = row * x.shape.last + rope.offset
        let (i, j) = rope.pairing == .neox
            ? (first + pair, first + pair + rope.dimensions / 2) : (first + 2 * pair, first + 2 * pair + 1)
        let (c, s) = (rope.magnitude * cos(angle), rope.magnitude * sin(angle))
        (y[i], y[j]) = (x[i] * c - x[j] * s, x[i] * s + x[j] * c)
    }

    private static func groupNorm(
        _ name: String, _ about: String, _ change: @escaping @Sendable (inout Elements) -> Void
    ) -> Fault {
        Fault(name, about, tokens: 2) { site in
            guard case .groupNorm = site.op else { return nil }
            return .operand(1, change)
        }
    }
}
