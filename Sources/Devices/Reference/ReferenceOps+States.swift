import Foundation
import ModelGraph

extension ReferenceOps {
    /// `(x [T, …], cells [T]) → [C, …]`: `state[cells[t]] = x[t]`, in the order of `t`; the result is the first `C`
    /// cells after that.
    static func store(
        _ x: ReferenceValue, _ cells: ReferenceValue, _ state: ReferenceState, _ count: Int,
        _ rounder: Rounder
    ) throws -> [Double] {
        for t in 0..<x.shape[0] {
            state.set(try cells.index(t, of: "cell", below: state.rows), to: x.block(t), rounder)
        }
        return try state.prefix(count)
    }

    /// `() → [C, …]`: the state's first `C` cells.
    static func load(_ state: ReferenceState, _ count: Int) throws -> [Double] { try state.prefix(count) }

    /// `(x [T, D], weight [D, K], slots [T]) → [T, D]`: `y[t, d] = Σ_j weight[d, j] · input[j, d]`, where `input` is
    /// the `K` last inputs of the token's sequence, its own last. The state `[K − 1, D]` holds all but that.
    static func convolution(
        _ x: ReferenceValue, _ weight: ReferenceValue, _ slots: ReferenceValue, _ state: ReferenceState
    ) throws -> [Double] {
        let (tokens, channels, taps) = (x.shape[0], x.shape[1], weight.shape[1])
        var y: [Double] = []
        for t in 0..<tokens {
            let slot = try slots.index(t, of: "slot", below: state.rows)
            let input = state[slot] + x.row(t)
            for d in 0..<channels {
                var sum = 0.0
                for j in 0..<taps { sum += weight[d * taps + j] * input[j * channels + d] }
                y.append(sum)
            }
            state[slot] = Array(input.dropFirst(channels))
        }
        return y
    }

    /// `(x [T, D], slots [T]) → [T, D]`: the input of the previous token of the same sequence, which is the state.
    static func tokenShift(
        _ x: ReferenceValue, _ slots: ReferenceValue, _ state: ReferenceState
    ) throws -> [Double] {
        var y: [Double] = []
        for t in 0..<x.shape[0] {
            let slot = try slots.index(t, of: "slot", below: state.rows)
            y += state[slot]
            state[slot] = Array(x.row(t))
        }
        return y
    }

    /// `(x [T, H, P], Δ [T, H], A [H, 1 or N], B [T, G, N], C [T, G, N], slots [T]) → [T, H, P]`, with
    /// `δ = softplus(Δ[t, h])` and `g = h / (H / G)`, for the state `M [H, P, N]`:
    ///
    ///     M[h, p, n] ← exp(δ · A[h, n]) · M[h, p, n] + δ · x[t, h, p] · B[t, g, n]
    ///     y[t, h, p] = Σ_n M[h, p, n] · C[t, g, n]
    ///
    /// Sources: Gu and Dao 2023 (Mamba: `P` is 1); Dao and Gu 2024 (Mamba-2: `A` is one number a head).
    static func selectiveScan(
        _ x: ReferenceValue, _ delta: ReferenceValue, _ a: ReferenceValue, _ b: ReferenceValue, _ c: ReferenceValue,
        _ slots: ReferenceValue, _ state: ReferenceState
    ) throws -> [Double] {
        let (tokens, heads, size) = (x.shape[0], x.shape[1], x.shape[2])
        let (groups, length) = (b.shape[1], b.shape[2])
        var y: [Double] = []
        for t in 0..<tokens {
            let slot = try slots.index(t, of: "slot", below: state.rows)
            var memory = state[slot]
            for h in 0..<heads {
                let step = softplus(delta[t * heads + h])
                let decay = a.row(h).map { exp(step * $0) }
                let group = t * groups + h / (heads / groups)
                for p in 0..<size {
                    let cells = ((h * size + p) * length)..<((h * size + p + 1) * length)
                    for n in 0..<length { memory[cells.lowerBound + n] *= decay[decay.count == 1 ? 0 : n] }
                    add(step * x[(t * heads + h) * size + p], b.row(group), to: &memory, at: cells.lowerBound)
                    y.append(dot(memory[cells], c.row(group)))
                }
            }
            state[slot] = memory
        }
        return y
    }

    /// `(q [T, Hk, S], k [T, Hk, S], v [T, H, S], g [T, H, 1 or S], β [T, H], slots [T]) → [T, H, S]`, with
    /// key head `h / (H / Hk)`, for the state `M [H, S, S]`, of which row `i` belongs to key element `i`:
    ///
    ///     M[i] ← exp(g[i]) · M[i]
    ///     M[i] ← M[i] + β · k[i] · (v − Σ_j k[j] · M[j])
    ///     y = scale · Σ_i q[i] · M[i]
    ///
    /// Sources: Yang et al. 2024, "Gated Delta Networks" (one `g` a head); Kimi Linear technical
    /// report 2025 (KDA: one `g` a key element).
    static func gatedDeltaRule(
        _ q: ReferenceValue, _ k: ReferenceValue, _ v: ReferenceValue, _ g: ReferenceValue, _ beta: ReferenceValue,
        _ slots: ReferenceValue, _ scale: Double, _ state: ReferenceState
    ) throws -> [Double] {
        let (tokens, heads, keyHeads, size) = (v.shape[0], v.shape[1], k.shape[1], v.shape[2])
        var y = [Double](repeating: 0, count: tokens * heads * size)
        for t in 0..<tokens {
            let slot = try slots.index(t, of: "slot", below: state.rows)
            var memory = state[slot]
            for h in 0..<heads {
                let (head, keyHead) = (t * heads + h, t * keyHeads + h / (heads / keyHeads))
                let (query, key) = (Array(q.row(keyHead)), Array(k.row(keyHead)))
                let decay = g.row(head).map(exp)
                func row(_ i: Int) -> Range<Int> { (h * size + i) * size ..< (h * size + i + 1) * size }

                var error = Array(v.row(head))
                for i in 0..<size {
                    let factor = decay[decay.count == 1 ? 0 : i]
                    for j in row(i) { memory[j] *= factor }
                    add(-key[i], memory[row(i)], to: &error)
                }
                for i in 0..<size {
                    add(beta[head] * key[i], error[...], to: &memory, at: row(i).lowerBound)
                    add(scale * query[i], memory[row(i)], to: &y, at: head * size)
                }
            }
            state[slot] = memory
        }
        return y
    }

    /// `(r, w, k, v, a, b: all [T, H, S], slots [T]) → [T, H, S]`, for the state `M [H, S, S]`, of which row `i`
    /// belongs to value element `i`:
    ///
    ///     M[i, j] ← M[i, j] · w[j] + (Σ_l M[i, l] · a[l]) · b[j] + v[i] · k[j]
    ///     y[i] = Σ_j M[i, j] · r[j]
    ///
    /// Source: Peng et al. 2025, "RWKV-7 Goose".
    static func wkv7(
        _ r: ReferenceValue, _ w: ReferenceValue, _ k: ReferenceValue, _ v: ReferenceValue, _ a: ReferenceValue,
        _ b: ReferenceValue, _ slots: ReferenceValue, _ state: ReferenceState
    ) throws -> [Double] {
        let (tokens, heads, size) = (r.shape[0], r.shape[1], r.shape[2])
        var y: [Double] = []
        for t in 0..<tokens {
            let slot = try slots.index(t, of: "slot", below: state.rows)
            var memory = state[slot]
            for h in 0..<heads {
                let head = t * heads + h
                let decay = Array(w.row(head))
                for i in 0..<size {
                    let first = (h * size + i) * size
                    let removed = dot(memory[first ..< first + size], a.row(head))
                    for j in 0..<size { memory[first + j] *= decay[j] }
                    add(removed, b.row(head), to: &memory, at: first)
                    add(v[head * size + i], k.row(head), to: &memory, at: first)
                    y.append(dot(memory[first ..< first + size], r.row(head)))
                }
            }
            state[slot] = memory
        }
        return y
    }
}
