import CReference
import Foundation
import ModelGraph

extension ReferenceOps {
    /// `(queries [T, H, S], keys [C, 1, S], weights [T, H], mask [T, C]) → [T, C]`:
    ///
    ///     y[t, c] = Σ_h weights[t, h] · max(0, queries[t, h] · keys[c]) + mask[t, c]
    ///
    /// `cache` is what keys are kept in; nil: nothing here has kept them. A cell of mask −∞ has that score, whatever it
    /// holds. Source: DeepSeek-V3.2 (2025), section 2.1, equation 1.
    static func indexScores(
        _ queries: ReferenceValue, _ keys: ReferenceValue, _ weights: ReferenceValue, _ mask: ReferenceValue,
        cache: StateType?, _ y: Doubles, _ rounder: Rounder
    ) {
        let (tokens, heads, size, cells) = (queries.shape[0], queries.shape[1], queries.shape[2], keys.shape[0])
        let arithmetic = rounder.arithmetic(cache, rows: tokens)
        let unit = rounder.productUnit(arithmetic, type: cache?.tensorType ?? .f32, terms: size)
        y.update(repeating: 0, count: tokens * cells)
        var room = [Double](repeating: 0, count: cells)
        room.withUnsafeMutableBufferPointer { room in
            guard let products = room.baseAddress else { return }
            for t in 0..<tokens {
                let row = y + t * cells
                rounder.sums(row, count: cells, terms: heads) { squares in
                    for h in 0..<heads {
                        rounder.operands(queries.row(t * heads + h), count: size, arithmetic) { query in
                            rounder.sums(products, count: cells, terms: size, unit: unit) { squares in
                                reference_products(query, keys.elements, products, squares, 1, cells, size)
                            }
                        }
                        for c in 0..<cells { products[c] = max(0, products[c]) }
                        reference_add(weights[t * heads + h], products, row, squares, cells)
                    }
                }
                for c in 0..<cells {
                    row[c] = mask[t * cells + c] > -.infinity ? row[c] + mask[t * cells + c] : -.infinity
                }
            }
        }
    }

    /// `(queries [T, H, Dk], keys [C, G, Dk], values [C, G, ≥ Dv], mask [T, C], [bias [H, T, C]], [sinks [H]])
    /// → [T, H, Dv]`, with `g = h / (H / G)`:
    ///
    ///     score[c] = softcap(scale · queries[t, h] · keys[c, g]) + bias[h, t, c] + mask[t, c]
    ///     y[t, h] = Σ_c exp(score[c]) · values[c, g] / (Σ_c exp(score[c]) + exp(sinks[h]))
    ///
    /// The bias, the softcap and the sink's term are there only where the model has them.
    /// `keyCache` and `valueCache` are what keys and values are kept in; nil: nothing here has kept them.
    /// A cell of mask −∞ takes no part, whatever it holds; a token that sees no cell gets zeros.
    /// Sources: Vaswani et al. 2017; Ainslie et al. 2023 (groups); Xiao et al. 2023 (sinks).
    static func attention(
        _ attention: Attention, _ queries: ReferenceValue, _ keys: ReferenceValue, _ values: ReferenceValue,
        _ mask: ReferenceValue, bias: ReferenceValue?, sinks: ReferenceValue?, keyCache: StateType?,
        valueCache: StateType?, _ y: Doubles, _ rounder: Rounder
    ) {
        let (tokens, heads, cells, groups) = (queries.shape[0], queries.shape[1], keys.shape[0], keys.shape[1])
        let (keySize, size) = (queries.shape[2], attention.valueSize)
        y.update(repeating: 0, count: tokens * heads * size)
        let keyArithmetic = rounder.arithmetic(keyCache, rows: tokens)
        let valueArithmetic = rounder.arithmetic(valueCache, rows: tokens)
        var (room, rows) = ([Double](repeating: 0, count: cells), [Int](repeating: 0, count: cells))
        room.withUnsafeMutableBufferPointer { room in
            rows.withUnsafeMutableBufferPointer { visible in
                guard let scores = room.baseAddress else { return }
                for t in 0..<tokens {
                    // The first row of each visible cell's keys and values.
                    var count = 0
                    for c in 0..<cells where mask[t * cells + c] > -.infinity {
                        visible[count] = c * groups
                        count += 1
                    }
                    for h in 0..<heads where count > 0 {
                        let g = h / (heads / groups)
                        rounder.operands(queries.row(t * heads + h), count: keySize, keyArithmetic) { query in
                            let unit = rounder.productUnit(
                                keyArithmetic, type: keyCache?.tensorType ?? .f32, terms: keySize)
                            rounder.sums(scores, count: count, terms: keySize, unit: unit) { squares in
                                reference_products_of_rows(
                                    keys.row(g), visible.baseAddress, query, scores, squares, nil, count, 1, keySize)
                            }
                        }
                        for i in 0..<count {
                            let cell = visible[i] / groups
                            scores[i] *= attention.scale
                            if let cap = attention.softcap { scores[i] = softcap(scores[i], cap) }
                            if let bias { scores[i] += bias[(h * tokens + t) * cells + cell] }
                            scores[i] += mask[t * cells + cell]
                        }
                        rounder.inner(scores, count: count)

                        let origin = max(greatest(scores, count), sinks?[h] ?? -.infinity)
                        var total = exponentials(scores, count, from: origin, rounder)
                        if let sinks { total += exp(sinks[h] - origin) }
                        let y = y + (t * heads + h) * size
                        // One value after the other is added to a narrow sum: each time, that is rounded.
                        let isNarrow = valueArithmetic.hasNarrowSums
                        let unit = isNarrow
                            ? Precision.Format.float16.unit
                            : rounder.productUnit(valueArithmetic, type: valueCache?.tensorType ?? .f32, terms: count)
                        rounder.operands(scores, count: count, valueArithmetic) { weights in
                            rounder.sums(y, count: size, terms: count, unit: unit, isNarrow: isNarrow) { squares in
                                for i in 0..<count {
                                    reference_add(
                                        weights[i] / total, values.row(visible[i] + g), y, isNarrow ? nil : squares,
                                        size)
                                    if isNarrow, let squares {
                                        for j in 0..<size { squares[j] += y[j] * y[j] }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
