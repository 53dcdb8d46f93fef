import Foundation
import ModelGraph

/// Attention to few cells that an indexer selects, and functions that few models have.
extension FaultCatalogue {
    static let indexers: [Fault] = scores + selection + rareFunctions

    // MARK: What cells are worth

    private static let scores: [Fault] = [
        Fault("index-weights-ignored", "an indexer's heads count alike", tokens: 2) { site in
            guard case .indexScores = site.op else { return nil }
            return .operand(2) { $0.map { _ in 1 } }
        },
        Fault("index-scores-of-first-head", "of an indexer's heads the first alone counts", tokens: 2) { site in
            guard case .indexScores = site.op else { return nil }
            return .operand(2) { $0.zeroRows(from: 1) }
        },
        Fault("index-scores-not-bounded", "an indexer's negative products count as the positive ones do", tokens: 2) {
            site in
            guard case .indexScores = site.op else { return nil }
            return .result { scores, operands in
                let (queries, keys, weights, mask) = (operands[0], operands[1], operands[2], operands[3])
                let (heads, cells) = (queries.shape[1], keys.shape[0])
                for token in 0..<queries.shape[0] {
                    for cell in 0..<cells where mask[token * cells + cell] > -.infinity {
                        scores[token * cells + cell] = (0..<heads).reduce(mask[token * cells + cell]) { sum, head in
                            let product = zip(queries[row: token * heads + head], keys[row: cell]).reduce(0) {
                                $0 + $1.0 * $1.1
                            }
                            return sum + weights[token * heads + head] * product
                        }
                    }
                }
            }
        },
    ]

    // MARK: Which are taken

    private static let selection: [Fault] = [
        Fault("one-cell-too-few", "the last of several best cells is left out", tokens: 2) { site in
            guard case .topCells(let count) = site.op, count > 1 else { return nil }
            return .op(.topCells(count: count - 1), of: site)
        },
        Fault("one-cell-too-many", "one cell more than the best is attended to", tokens: 2) { site in
            guard case .topCells(let count) = site.op else { return nil }
            return .op(.topCells(count: count + 1), of: site)
        },
        Fault("best-cells-not-selected", "all cells are attended to, not the best alone", tokens: 2) { site in
            guard case .topCells = site.op else { return nil }
            return .result { mask, operands in
                for index in mask.values.indices where operands[0][index] > -.infinity { mask[index] = 0 }
            }
        },
        Fault("best-cells-are-latest", "the latest cells are taken for the best", tokens: 2) { site in
            guard case .topCells(let count) = site.op else { return nil }
            return .result { mask, operands in
                let cells = mask.shape[1]
                for token in 0..<mask.shape[0] {
                    let seen = (0..<cells).filter { operands[0][token * cells + $0] > -.infinity }
                    for cell in 0..<cells { mask[token * cells + cell] = -.infinity }
                    for cell in seen.suffix(count) { mask[token * cells + cell] = 0 }
                }
            }
        },
        Fault("chunk-one-too-long", "a chunk of positions has one more than it should", tokens: 2) { site in
            guard case .mask(var mask) = site.op, case .chunked(let length) = mask.window else { return nil }
            mask.window = .chunked(length + 1)
            return .op(.mask(mask), of: site)
        },
        Fault("window-position-one-on", "positions lie in windows as the next ones do") { site in
            guard case .windowPosition = site.op else { return nil }
            return .operand(0) { $0.map { $0 + 1 } }
        },
        Fault("experts-scores-by-slot", "experts' weights are the scores of the first experts, whichever are used") {
            site in
            guard case .takeExperts = site.op else { return nil }
            return .operand(1) { experts in
                let used = experts.shape.last
                for index in experts.values.indices { experts[index] = Double(index % used) }
            }
        },
    ]

    // MARK: Functions

    private static let rareFunctions: [Fault] = [
        Fault("root-of-softplus-not-rooted", "the root of a softplus is the softplus") { site in
            guard case .unary(.rootOfSoftplus) = site.op else { return nil }
            return .op(.unary(.softplus), of: site)
        },
        Fault("silu-in-half", "SiLU is computed in half precision") { site in
            guard case .unary(.silu) = site.op else { return nil }
            return .result { y, _ in y.map(\.half) }
        },
        Fault("relu-ignored", "negative numbers pass a ReLU") { site in
            guard case .unary(.relu) = site.op else { return nil }
            return .op(.affine(scale: 1, bias: 0), of: site)
        },
        Fault("tanh-by-clamp", "tanh is the identity between −1 and 1") { site in
            guard case .unary(.tanh) = site.op else { return nil }
            return .op(.clamp(lower: -1, upper: 1), of: site)
        },
    ]
}
