import CReference
import Foundation
import ModelGraph

extension ReferenceOps {
    /// `(x [T, …], cells [T]) → [C, …]`: `state[cells[t]] = x[t]`, in the order of `t`; the result is the first `C`
    /// cells after that.
    static func store(
        _ x: ReferenceValue, _ cells: ReferenceValue, _ state: ReferenceState, _ count: Int, _ y: Doubles,
        _ rounder: Rounder
    ) throws {
        let length = x.count / x.shape[0]
        for t in 0..<x.shape[0] {
            let (cell, row) = (state[try cells.index(t, of: "cell", below: state.rows)], x.elements + t * length)
            switch state.type {
            case .full: cell.update(from: row, count: length)
            case .half: for i in 0..<length { cell[i] = rounder.half(row[i]) }
            case .bfloat, .q8_0, .q5_1, .q5_0, .q4_1, .q4_0, .iq4_NL:
                cell.update(from: row, count: length)
                rounder.stored(cell, count: length, as: state.type)
            }
        }
        try state.copyPrefix(count, to: y)
    }

    /// `() → [C, …]`: the state's first `C` cells.
    static func load(_ state: ReferenceState, _ count: Int, _ y: Doubles) throws {
        try state.copyPrefix(count, to: y)
    }

    /// `(x [T, D], weight [D, K], slots [T]) → [T, D]`: `y[t, d] = Σ_j weight[d, j] · input[j, d]`, where `input` is
    /// the `K` last inputs of the token's sequence, its own last. The state `[K − 1, D]` holds all but that.
    static func convolution(
        _ x: ReferenceValue, _ weight: ReferenceValue, _ slots: ReferenceValue, _ state: ReferenceState, _ y: Doubles
    ) throws {
        let (tokens, channels, taps) = (x.shape[0], x.shape[1], weight.shape[1])
        var inputs = [Double](repeating: 0, count: taps * channels)
        try inputs.withUnsafeMutableBufferPointer { inputs in
            guard let input = inputs.baseAddress else { return }
            for t in 0..<tokens {
                let past = state[try slots.index(t, of: "slot", below: state.rows)]
                input.update(from: past, count: (taps - 1) * channels)
                (input + (taps - 1) * channels).update(from: x.row(t), count: channels)
                for d in 0..<channels {
                    var sum = 0.0
                    for j in 0..<taps { sum += weight[d * taps + j] * input[j * channels + d] }
                    y[t * channels + d] = sum
                }
                past.update(from: input + channels, count: (taps - 1) * channels)
            }
        }
    }

    /// `(x [T, D], slots [T]) → [T, D]`: the input of the previous token of the same sequence, which is the state.
    static func tokenShift(_ x: ReferenceValue, _ slots: ReferenceValue, _ state: ReferenceState, _ y: Doubles) throws {
        let size = x.shape[1]
        for t in 0..<x.shape[0] {
            let previous = state[try slots.index(t, of: "slot", below: state.rows)]
            (y + t * size).update(from: previous, count: size)
            previous.update(from: x.row(t), count: size)
        }
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
        _ slots: ReferenceValue, _ state: ReferenceState, _ y: Doubles, _ rounder: Rounder
    ) throws {
        let (tokens, heads, size) = (x.shape[0], x.shape[1], x.shape[2])
        let (groups, length, decays) = (b.shape[1], b.shape[2], a.shape[1])
        var room = [Double](repeating: 0, count: heads * (1 + decays))
        try room.withUnsafeMutableBufferPointer { room in
            guard let steps = room.baseAddress else { return }
            let powers = steps + heads
            for t in 0..<tokens {
                let slot = state[try slots.index(t, of: "slot", below: state.rows)]
                for h in 0..<heads {
                    steps[h] = rounder.inner(softplus(delta[t * heads + h], rounder))
                    for n in 0..<decays { powers[h * decays + n] = steps[h] * a[h * decays + n] }
                }
                reference_exp(powers, powers, heads * decays)
                rounder.inner(powers, count: heads * decays)
                for h in 0..<heads {
                    let (group, decay) = (t * groups + h / (heads / groups), powers + h * decays)
                    for p in (h * size)..<((h + 1) * size) {
                        let memory = slot + p * length
                        if decays == 1 {
                            reference_scale(decay[0], memory, length)
                        } else {
                            for n in 0..<length { memory[n] *= decay[n] }
                        }
                        reference_add(steps[h] * x[t * heads * size + p], b.row(group), memory, nil, length)
                    }
                    rounder.state(slot + h * size * length, count: size * length)
                    let sums = y + (t * heads + h) * size
                    rounder.sums(sums, count: size, terms: length) { squares in
                        reference_products(c.row(group), slot + h * size * length, sums, squares, 1, size, length)
                    }
                }
            }
        }
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
        _ slots: ReferenceValue, _ scale: Double, _ state: ReferenceState, _ y: Doubles, _ rounder: Rounder
    ) throws {
        let (tokens, heads, keyHeads, size) = (v.shape[0], v.shape[1], k.shape[1], v.shape[2])
        let decays = g.shape[2]
        y.update(repeating: 0, count: tokens * heads * size)
        var room = [Double](repeating: 0, count: size + heads * decays)
        try room.withUnsafeMutableBufferPointer { room in
            guard let error = room.baseAddress else { return }
            let powers = error + size
            for t in 0..<tokens {
                let slot = state[try slots.index(t, of: "slot", below: state.rows)]
                reference_exp(g.row(t * heads), powers, heads * decays)
                rounder.inner(powers, count: heads * decays)
                for h in 0..<heads {
                    let (head, keyHead) = (t * heads + h, t * keyHeads + h / (heads / keyHeads))
                    let (query, key, memory) = (q.row(keyHead), k.row(keyHead), slot + h * size * size)
                    let decay = powers + h * decays
                    for i in 0..<size { reference_scale(decay[decays == 1 ? 0 : i], memory + i * size, size) }

                    error.update(from: v.row(head), count: size)
                    rounder.sums(error, count: size, terms: size) { squares in
                        for i in 0..<size { reference_add(-key[i], memory + i * size, error, squares, size) }
                    }
                    for i in 0..<size { reference_add(beta[head] * key[i], error, memory + i * size, nil, size) }
                    rounder.state(memory, count: size * size)

                    let y = y + head * size
                    rounder.sums(y, count: size, terms: size) { squares in
                        for i in 0..<size { reference_add(scale * query[i], memory + i * size, y, squares, size) }
                    }
                }
            }
        }
    }

    /// `(q [T, H, S], k [T, H, S], v [T, H, S], g [T, H, 1 or S], [bonus [H, S]], slots [T]) → [T, H, S]`, for the
    /// state `M [H, S, S]`, of which row `i` belongs to key element `i`:
    ///
    ///     M[i] ← exp(g[i]) · M[i] + k[i] · v
    ///     y = scale · Σ_i q[i] · M[i]
    ///
    /// With a bonus, `y = scale · Σ_i q[i] · (M[i] + bonus[i] · k[i] · v)` is taken before `M` changes.
    ///
    /// Sources: Yang et al. 2023, "Gated Linear Attention", section 4; Qin et al. 2024, "Lightning Attention-2" (one
    /// `g` a head); Peng et al. 2024, "Eagle and Finch", section 4.1 (the bonus).
    static func linearAttention(
        _ q: ReferenceValue, _ k: ReferenceValue, _ v: ReferenceValue, _ g: ReferenceValue, bonus: ReferenceValue?,
        _ slots: ReferenceValue, _ scale: Double, _ state: ReferenceState, _ y: Doubles, _ rounder: Rounder
    ) throws {
        let (tokens, heads, size, decays) = (q.shape[0], q.shape[1], q.shape[2], g.shape[2])
        y.update(repeating: 0, count: tokens * heads * size)
        var powers = [Double](repeating: 0, count: heads * decays)
        for t in 0..<tokens {
            let slot = state[try slots.index(t, of: "slot", below: state.rows)]
            powers.withUnsafeMutableBufferPointer { powers in
                guard let first = powers.baseAddress else { return }
                reference_exp(g.row(t * heads), first, heads * decays)
                rounder.inner(first, count: heads * decays)
            }
            for h in 0..<heads {
                let (head, memory) = (t * heads + h, slot + h * size * size)
                let (query, key, value, sums) = (q.row(head), k.row(head), v.row(head), y + head * size)
                func recall(_ squares: Doubles?) {
                    for i in 0..<size { reference_add(scale * query[i], memory + i * size, sums, squares, size) }
                }
                if let bonus {
                    let own = bonus.row(h)
                    rounder.sums(sums, count: size, terms: 2 * size) { squares in
                        recall(squares)
                        for i in 0..<size {
                            reference_add(scale * query[i] * own[i] * key[i], value, sums, squares, size)
                        }
                    }
                }
                for i in 0..<size {
                    reference_scale(powers[h * decays + (decays == 1 ? 0 : i)], memory + i * size, size)
                    reference_add(key[i], value, memory + i * size, nil, size)
                }
                rounder.state(memory, count: size * size)
                if bonus == nil { rounder.sums(sums, count: size, terms: size) { recall($0) } }
            }
        }
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
        _ b: ReferenceValue, _ slots: ReferenceValue, _ state: ReferenceState, _ y: Doubles, _ rounder: Rounder
    ) throws {
        let (tokens, heads, size) = (r.shape[0], r.shape[1], r.shape[2])
        var room = [Double](repeating: 0, count: size)
        try room.withUnsafeMutableBufferPointer { room in
            guard let removed = room.baseAddress else { return }
            for t in 0..<tokens {
                let slot = state[try slots.index(t, of: "slot", below: state.rows)]
                for h in 0..<heads {
                    let (head, memory) = (t * heads + h, slot + h * size * size)
                    let decay = w.row(head)
                    rounder.sums(removed, count: size, terms: size) { squares in
                        reference_products(a.row(head), memory, removed, squares, 1, size, size)
                    }
                    for i in 0..<size {
                        let row = memory + i * size
                        for j in 0..<size { row[j] *= decay[j] }
                        reference_add(removed[i], b.row(head), row, nil, size)
                        reference_add(v[head * size + i], k.row(head), row, nil, size)
                    }
                    rounder.state(memory, count: size * size)
                    let sums = y + head * size
                    rounder.sums(sums, count: size, terms: size) { squares in
                        reference_products(r.row(head), memory, sums, squares, 1, size, size)
                    }
                }
            }
        }
    }
}
