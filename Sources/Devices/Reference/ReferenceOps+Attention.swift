import Foundation
import ModelGraph

extension ReferenceOps {
    /// `(queries [T, H, Dk], keys [C, G, Dk], values [C, G, ≥ Dv], mask [T, C], [bias [H, T, C]], [sinks [H]])
    /// → [T, H, Dv]`, with `g = h / (H / G)`:
    ///
    ///     score[c] = softcap(scale · queries[t, h] · keys[c, g]) + bias[h, t, c] + mask[t, c]
    ///     y[t, h] = Σ_c exp(score[c]) · values[c, g] / (Σ_c exp(score[c]) + exp(sinks[h]))
    ///
    /// The bias, the softcap and the sink's term are there only where the model has them.
    /// A cell of mask −∞ takes no part, whatever it holds; a token that sees no cell gets zeros.
    /// Sources: Vaswani et al. 2017; Ainslie et al. 2023 (groups); Xiao et al. 2023 (sinks).
    static func attention(
        _ attention: Attention, _ queries: ReferenceValue, _ keys: ReferenceValue, _ values: ReferenceValue,
        _ mask: ReferenceValue, bias: ReferenceValue?, sinks: ReferenceValue?
    ) -> [Double] {
        let (tokens, heads, cells, groups) = (queries.shape[0], queries.shape[1], keys.shape[0], keys.shape[1])
        let size = attention.valueSize
        var y = [Double](repeating: 0, count: tokens * heads * size)
        for t in 0..<tokens {
            let visible = (0..<cells).filter { mask[t * cells + $0] > -.infinity }
            for h in 0..<heads {
                let g = h / (heads / groups)
                let query = queries.row(t * heads + h)
                let scores = visible.map { c -> Double in
                    var score = attention.scale * dot(query, keys.row(c * groups + g))
                    if let cap = attention.softcap { score = softcap(score, cap) }
                    if let bias { score += bias[(h * tokens + t) * cells + c] }
                    return score + mask[t * cells + c]
                }
                guard let greatest = (scores + (sinks.map { [$0[h]] } ?? [])).max() else { continue }
                let weights = scores.map { exp($0 - greatest) }
                let total = weights.reduce(0, +) + (sinks.map { exp($0[h] - greatest) } ?? 0)
                for (c, weight) in zip(visible, weights) {
                    add(weight / total, values.row(c * groups + g).prefix(size), to: &y, at: (t * heads + h) * size)
                }
            }
        }
        return y
    }
}
