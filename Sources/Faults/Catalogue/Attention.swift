import Foundation
import ModelGraph

/// Masks, windows and attention.
///
/// A token that sees one cell takes its value whatever the score, so that what concerns scores alone needs two;
/// but for sinks, which is why such faults leave attention with sinks alone.
extension FaultCatalogue {
    static let attention: [Fault] = [
        mask("window-off-by-one", "a window holds one position too many") { mask in
            switch mask.window {
            case .sliding(let extent): mask.window = .sliding(extent + 1)
            case .symmetric(let extent): mask.window = .symmetric(extent + 1)
            case .chunked, .unlimited: break
            }
        },
        mask("window-one-short", "a window of two or more holds one position too few") { mask in
            switch mask.window {
            case .sliding(let extent) where extent > 1: mask.window = .sliding(extent - 1)
            case .symmetric(let extent) where extent > 0: mask.window = .symmetric(extent - 1)
            case .sliding, .symmetric, .chunked, .unlimited: break
            }
        },
        mask("window-ignored", "a layer with a window sees everything") { mask in
            switch mask.window {
            case .sliding, .symmetric: mask.window = .unlimited
            case .chunked, .unlimited: break
            }
        },
        mask("window-one-sided", "a window that reaches both ways ends at the earlier side only") { mask in
            if case .symmetric(let extent) = mask.window { mask.window = .sliding(extent + 1) }
        },
        mask(
            "window-whole-each-way",
            "a window that reaches both ways reaches its whole length each way, not half") { mask in
            if case .symmetric(let extent) = mask.window, extent > 0 { mask.window = .symmetric(2 * extent) }
        },
        mask("mask-not-causal", "tokens see later ones of their micro-batch") { $0.causal = false },
        mask("encoder-mask-causal", "tokens that should see each other see no later ones") { $0.causal = true },
        Fault("mask-sees-other-sequences", "tokens see the cells of all sequences", tokens: 2) { site in
            guard case .mask = site.op else { return nil }
            return .operands { operands in
                for (positions, sequences) in [(0, 1), (2, 3)] {
                    for i in operands[sequences].values.indices where operands[positions][i] >= 0 {
                        operands[sequences][i] = 1
                    }
                }
            }
        },
        Fault(
            "mask-takes-lowest-sequence", "a cell of several sequences is seen by the lowest of them only", tokens: 2
        ) { site in
            guard case .mask = site.op else { return nil }
            return .operand(3) { $0.map { Double(Int($0) & -Int($0)) } }
        },
        Fault("mask-sees-empty-cells", "tokens see the zeros of cells that hold nothing") { site in
            guard case .mask = site.op, site.isInput(2, .cellPositions) else { return nil }
            return .operands { operands in
                for cell in operands[2].values.indices where operands[2][cell] < 0 {
                    operands[2][cell] = 0
                    operands[3][cell] = -1
                }
            }
        },
        Fault(
            "mask-kept-on-reuse", "a graph that runs again sees the cells that its first run saw", tokens: 2
        ) { site in
            guard case .mask = site.op, site.isInput(2, .cellPositions) else { return nil }
            return .around { call in
                call.operands = call.first
                try call.run()
            }
        },

        // MARK: Heads

        Fault("key-heads-interleaved", "query heads take the key heads in turn, not in groups") { site in
            guard case .attention(let attention) = site.op, site.keyHeads > 1, site.headRatio > 1 else { return nil }
            return .around { call in
                call.result = try HostAttention(attention) { $0 % site.keyHeads }.run(call)
            }
        },
        Fault(
            "head-ratio-by-shift", "query heads over key heads that are no power of two are taken for the one below"
        ) { site in
            guard case .attention(let attention) = site.op, site.keyHeads > 1, site.headRatio.nonzeroBitCount > 1 else {
                return nil
            }
            let shift = Int.bitWidth - 1 - site.headRatio.leadingZeroBitCount
            return .around { call in
                call.result = try HostAttention(attention) { min($0 >> shift, site.keyHeads - 1) }.run(call)
            }
        },
        Fault("heads-beyond-four", "query heads from the fifth on repeat the results of the first four") { site in
            guard case .attention = site.op, site.shape[1] > 4 else { return nil }
            return .result { y, _ in
                let heads = y.shape[1]
                for row in 0..<y.shape.rows where row % heads >= 4 {
                    y[row: row] = y[row: row / heads * heads + row % heads % 4]
                }
            }
        },
        Fault(
            "head-size-tail-not-scored", "without sinks, elements of a head beyond the last whole 16 are not scored",
            tokens: 2
        ) { site in
            guard case .attention(let attention) = site.op, !attention.sinks, site.shape(0).last % 16 != 0 else {
                return nil
            }
            return .operand(0) { $0.zeroRows(from: $0.shape.last / 16 * 16) }
        },
        Fault("value-tail-dropped", "elements of a value head beyond the last whole 16 stay zero") { site in
            guard case .attention = site.op, site.shape.last % 16 != 0 else { return nil }
            return .result { y, _ in y.zeroRows(from: y.shape.last / 16 * 16) }
        },
        Fault("value-stride-of-keys", "value heads are found by the size of a key head") { site in
            guard case .attention = site.op, site.keyHeads > 1, site.shape(1).last < site.shape(2).last else {
                return nil
            }
            let (keySize, valueSize) = (site.shape(1).last, site.shape(2).last)
            return .operand(2) { values in
                for cell in 0..<values.shape[0] {
                    let row = values[block: cell]
                    values[block: cell] = row.indices.map { row[$0 / valueSize * keySize + $0 % valueSize] }
                }
            }
        },

        // MARK: Scores

        Fault(
            "attention-scale-by-key-size", "without sinks, scores are divided by √head size, whatever their scale",
            tokens: 2
        ) { site in
            guard case .attention(var attention) = site.op, !attention.sinks else { return nil }
            attention.scale = 1 / Double(site.shape(1).last).squareRoot()
            return .attention(attention, of: site)
        },
        Fault("attention-softcap-ignored", "scores are not capped", tokens: 2) { site in
            guard case .attention(var attention) = site.op else { return nil }
            attention.softcap = nil
            return .attention(attention, of: site)
        },
        Fault("attention-softcap-before-scale", "scores are capped before they are scaled", tokens: 2) { site in
            guard case .attention(let attention) = site.op, let cap = attention.softcap else { return nil }
            return .around { call in
                var host = HostAttention(attention) { $0 / site.headRatio }
                host.score = { attention.scale * cap * tanh($0 / cap) }
                call.result = try host.run(call)
            }
        },
        Fault("attention-sinks-ignored", "attention sinks take no weight") { site in
            guard case .attention(var attention) = site.op, attention.sinks else { return nil }
            attention.sinks = false
            return .op(.attention(attention), site.operands.dropLast())
        },
        Fault("attention-bias-ignored", "the position bias is not added to the scores", tokens: 2) { site in
            guard case .attention(var attention) = site.op, attention.bias else { return nil }
            attention.bias = false
            return .op(.attention(attention), Array(site.operands[..<4] + site.operands[5...]))
        },
        Fault("attention-bias-of-first-head", "all heads add the position bias of the first", tokens: 2) { site in
            guard case .attention(let attention) = site.op, attention.bias, site.shape[1] > 1 else { return nil }
            return .operand(4) { bias in for h in 0..<bias.shape[0] { bias[block: h] = bias[block: 0] } }
        },
        Fault(
            "softmax-without-maximum", "scores above 88, or all below −104, leave float32: the result is NaN"
        ) { site in
            guard case .attention(let attention) = site.op else { return nil }
            return .around { call in
                try call.run()
                let host = HostAttention(attention) { $0 / site.headRatio }
                for (row, scores) in try host.scores(call).enumerated() {
                    guard let greatest = scores.map(\.score).max(), greatest > 88 || greatest < -104 else { continue }
                    call.result[row: row] = call.result[row: row].map { _ in .nan }
                }
            }
        },
        Fault("attention-values-in-bfloat16", "values are cut to bfloat16 before they are weighed") { site in
            guard case .attention = site.op else { return nil }
            return .operand(2) { $0.map(\.brain) }
        },
        Fault(
            "attention-keys-in-half", "without sinks, keys and queries are rounded to half before they are multiplied",
            tokens: 2
        ) { site in
            guard case .attention(let attention) = site.op, !attention.sinks else { return nil }
            return .operands { operands in
                operands[0].map(\.half)
                operands[1].map(\.half)
            }
        },

        // MARK: Tiles

        seen(
            "attention-tile-tail-unseen",
            "of more than eight cells, those beyond the last whole tile of eight are not seen", tokens: 9
        ) {
            cells in cells.count > 8 ? Array(cells.prefix(cells.count / 8 * 8)) : cells
        },
        seen("attention-second-block-unseen", "a token sees 32 cells at most", tokens: 33) { Array($0.prefix(32)) },
        Fault(
            "attention-tile-not-rescaled",
            "weights of the 17th cell on are too small by the factor of an older maximum", tokens: 17
        ) { site in
            guard case .attention = site.op, site.shape(3)[1] > 16 else { return nil }
            return .operand(3) { mask in
                mask.mapRows { row in
                    for cell in row.indices.filter({ row[$0] == 0 }).dropFirst(16) { row[cell] -= 0.5 }
                }
            }
        },
        Fault(
            "single-query-skips-first-cell", "a token alone in its micro-batch does not see the first cell of others",
            tokens: 2
        ) { site in
            guard case .attention = site.op, site.shape[0] == 1 else { return nil }
            return .operand(3) { mask in
                let cells = mask.values.indices.filter { mask[$0] > -.infinity }
                if cells.count > 1 { mask[cells[0]] = -.infinity }
            }
        },
        Fault(
            "query-tile-mask-repeated", "the ninth token of a micro-batch and later ones see what the eighth sees",
            tokens: 9
        ) { site in
            guard case .attention = site.op, site.shape[0] > 8 else { return nil }
            return .operand(3) { mask in for t in 8..<mask.shape[0] { mask[row: t] = mask[row: 7] } }
        },
        Fault("unseeing-token-is-nan", "a token that sees no cell at all gets NaN, not zeros", tokens: 2) { site in
            guard case .attention(let attention) = site.op, !attention.sinks else { return nil }
            return .result { y, operands in
                for t in 0..<y.shape[0] where operands[3][row: t].allSatisfy({ $0 == -.infinity }) {
                    y[block: t] = y[block: t].map { _ in .nan }
                }
            }
        },
    ]

    /// A fault in what a mask lets tokens see, for which there must be another token.
    private static func mask(_ name: String, _ about: String, _ change: @escaping @Sendable (inout Mask) -> Void)
        -> Fault
    {
        Fault(name, about, tokens: 2) { site in
            guard case .mask(let original) = site.op else { return nil }
            var mask = original
            change(&mask)
            return mask == original ? nil : .op(.mask(mask), of: site)
        }
    }

    /// A fault in which of the cells that a token should see it does see.
    private static func seen(
        _ name: String, _ about: String, tokens: Int, _ change: @escaping @Sendable ([Int]) -> [Int]
    ) -> Fault {
        Fault(name, about, tokens: tokens) { site in
            guard case .attention = site.op else { return nil }
            return .operand(3) { mask in
                mask.mapRows { row in
                    let cells = row.indices.filter { row[$0] > -.infinity }
                    for cell in Set(cells).subtracting(change(cells)) { row[cell] = -.infinity }
                }
            }
        }
    }
}

extension Change {
    fileprivate static func attention(_ attention: Attention, of site: Site) -> Change? {
        site.op == .attention(attention) ? nil : .op(.attention(attention), of: site)
    }
}

extension Site {
    fileprivate var keyHeads: Int { shape(1)[1] }
    /// Query heads of each key head.
    fileprivate var headRatio: Int { shape(0)[1] / keyHeads }
}

/// Attention on the host, for what no change of operands brings about.
private struct HostAttention {
    let attention: Attention
    /// The key head of a query head.
    let keyHead: (Int) -> Int
    /// A score of a product.
    var score: (Double) -> Double

    init(_ attention: Attention, keyHead: @escaping (Int) -> Int) {
        self.attention = attention
        self.keyHead = keyHead
        score = { product in
            let score = attention.scale * product
            return attention.softcap.map { $0 * tanh(score / $0) } ?? score
        }
    }

    /// The visible cells of each token and head, with their scores.
    func scores(_ call: Call) throws -> [[(cell: Int, score: Double)]] {
        let (queries, keys, mask) = (call.operands[0], call.operands[1], call.operands[3])
        let (tokens, heads, cells) = (queries.shape[0], queries.shape[1], keys.shape[0])
        let bias = attention.bias ? try call.operand(4) : nil
        return (0..<tokens * heads).map { row in
            let (t, h) = (row / heads, row % heads)
            let query = queries[row: row]
            return (0..<cells).filter { mask[t * cells + $0] > -.infinity }.map { cell in
                let key = keys[row: cell * keys.shape[1] + keyHead(h)]
                let product = zip(query, key).reduce(0) { $0 + $1.0 * $1.1 }
                return (cell, score(product) + (bias.map { $0[(h * tokens + t) * cells + cell] } ?? 0))
            }
        }
    }

    func run(_ call: Call) throws -> Elements {
        let values = call.operands[2]
        let heads = call.operands[0].shape[1]
        let sinks = attention.sinks ? try call.operand(call.operands.count - 1) : nil
        var result = Elements(call.site.shape, Array(repeating: 0, count: call.site.shape.count))
        for (row, scores) in try self.scores(call).enumerated() {
            let sink = sinks.map { $0[row % heads] }
            guard let greatest = (scores.map(\.score) + (sink.map { [$0] } ?? [])).max() else { continue }
            let total = scores.reduce(sink.map { exp($0 - greatest) } ?? 0) { $0 + exp($1.score - greatest) }
            var sum = Array(repeating: 0.0, count: attention.valueSize)
            for (cell, score) in scores {
                let value = values[row: cell * values.shape[1] + keyHead(row % heads)]
                for i in sum.indices { sum[i] += exp(score - greatest) / total * value[i] }
            }
            result[row: row] = sum
        }
        return result
    }
}
