import CReference
import Foundation
import ModelGraph

/// Loss and derivatives. In the formulas, `d` is what the loss changes by with an op's result.
extension ReferenceOps {
    /// `(logits [R, V], targets [R]) → [1]`: `Σ_r −ln softmax(x[r])[targets[r]] / count`, over the `count` rows that
    /// count.
    static func crossEntropy(_ x: ReferenceValue, _ targets: ReferenceValue, _ y: Doubles, _ rounder: Rounder) throws {
        var powers = [Double](repeating: 0, count: x.shape[1])
        let terms = try powers.withUnsafeMutableBufferPointer { powers in
            guard let powers = powers.baseAddress else { return [Double]() }
            return try countedRows(x, targets).map { row, target in
                let (origin, own, others) = shares(x.row(row), target, powers, count: x.shape[1], rounder)
                // Of what is next to certain, the logarithm is next to 0.
                return own == 1
                    ? rounder.inner(log1p(others))
                    : rounder.inner(log(own + others)) - rounder.inner(x.row(row)[target] - origin)
            }
        }
        let sum = terms.reduce(0, +) + rounder.sumError(terms, count: terms.count)
        y[0] = terms.isEmpty ? 0 : sum / Double(terms.count)
    }

    /// `(logits [R, V], targets [R], d [1]) → [R, V]`: `d · (softmax(x[r]) − (1 at the target)) / count`, and 0 in rows
    /// that do not count.
    static func crossEntropyAdjoint(
        _ x: ReferenceValue, _ targets: ReferenceValue, _ d: ReferenceValue, _ y: Doubles, _ rounder: Rounder
    ) throws {
        let columns = x.shape[1], rows = try countedRows(x, targets)
        y.update(repeating: 0, count: x.count)
        for (row, target) in rows {
            let y = y + row * columns
            let (_, own, others) = shares(x.row(row), target, y, count: columns, rounder)
            // Without the cancellation next to certainty.
            y[target] = -others
            let factor = rounder.inner(d[0] / Double(rows.count) / (own + others))
            for i in 0..<columns { y[i] *= factor }
        }
    }

    /// Exponentials of a row, less its greatest element (the origin): of the target, and of all others together.
    private static func shares(
        _ row: UnsafePointer<Double>, _ target: Int, _ powers: Doubles, count: Int, _ rounder: Rounder
    ) -> (origin: Double, own: Double, others: Double) {
        let origin = greatest(row, count)
        powers.update(from: row, count: count)
        _ = exponentials(powers, count, from: origin, rounder)
        var others = 0.0
        for i in 0..<count where i != target { others += powers[i] }
        return (origin, row[target] == origin ? 1 : powers[target], rounder.inner(others))
    }

    private static func countedRows(
        _ x: ReferenceValue, _ targets: ReferenceValue
    ) throws -> [(row: Int, target: Int)] {
        try (0..<x.shape[0]).compactMap { row in
            guard targets[row] >= 0 else { return nil }
            let first = try targets.index(row, of: "target", below: x.shape[1])
            let classes = (0..<x.shape[1]).lazy.map { (first + $0) % x.shape[1] }
            return classes.first { x.row(row)[$0] > Op.leastLogit }.map { (row, $0) }
        }
    }

    /// `(x [R…, …D], indices [R…]) → [N, …D]`: `y[indices[r]] += x[r]`.
    static func scatterRows(
        _ x: ReferenceValue, _ indices: ReferenceValue, _ count: Int, _ y: Doubles, _ rounder: Rounder
    ) throws {
        let length = x.count / indices.count
        let rows = try (0..<indices.count).map { try indices.index($0, of: "row", below: count) }
        y.update(repeating: 0, count: count * length)
        rounder.sums(y, count: count * length, terms: greatestShare(rows)) { squares in
            for (i, row) in rows.enumerated() {
                reference_add(1, x.elements + i * length, y + row * length, squares.map { $0 + row * length }, length)
            }
        }
    }

    /// `(a [R, N], b [R, K], indices [R]) → [E, N, K]`: `y[indices[r], n, k] += a[r, n] · b[r, k]`.
    static func scatterProducts(
        _ a: ReferenceValue, _ b: ReferenceValue, _ indices: ReferenceValue, _ count: Int, _ y: Doubles,
        _ rounder: Rounder
    ) throws {
        let (outer, inner) = (a.shape[1], b.shape[1])
        let matrices = try (0..<indices.count).map { try indices.index($0, of: "matrix", below: count) }
        y.update(repeating: 0, count: count * outer * inner)
        rounder.sums(y, count: count * outer * inner, terms: greatestShare(matrices)) { squares in
            for (r, matrix) in matrices.enumerated() {
                for n in 0..<outer {
                    let start = (matrix * outer + n) * inner
                    reference_add(a[r * outer + n], b.row(r), y + start, squares.map { $0 + start }, inner)
                }
            }
        }
    }

    /// How often the most frequent of some numbers occurs.
    private static func greatestShare(_ numbers: [Int]) -> Int {
        Dictionary(grouping: numbers) { $0 }.values.map(\.count).max() ?? 1
    }

    /// `(scores [T, H, C], mask [T, C], [sinks [H]]) → [T, H, C]`, over the cells whose mask is not −∞:
    /// `y[c] = exp(scores[c] + mask[c]) / (Σ_c exp(scores[c] + mask[c]) + exp(sinks[h]))`. See `attention`.
    static func attentionWeights(
        _ scores: ReferenceValue, _ mask: ReferenceValue, sinks: ReferenceValue?, _ y: Doubles, _ rounder: Rounder
    ) {
        let (tokens, heads, cells) = (scores.shape[0], scores.shape[1], scores.shape[2])
        y.update(repeating: 0, count: scores.count)
        var room = [Double](repeating: 0, count: cells)
        room.withUnsafeMutableBufferPointer { room in
            guard let powers = room.baseAddress else { return }
            for t in 0..<tokens {
                let seen = (0..<cells).filter { mask[t * cells + $0] > -.infinity }
                for h in 0..<heads where !seen.isEmpty {
                    let row = (t * heads + h) * cells
                    for (i, c) in seen.enumerated() { powers[i] = scores[row + c] + mask[t * cells + c] }
                    rounder.inner(powers, count: seen.count)
                    let origin = max(greatest(powers, seen.count), sinks?[h] ?? -.infinity)
                    var total = exponentials(powers, seen.count, from: origin, rounder)
                    if let sinks { total += exp(sinks[h] - origin) }
                    for (i, c) in seen.enumerated() { y[row + c] = powers[i] / total }
                }
            }
        }
    }

    /// `(x […, D], d […, D]) → […, D]`, with `n` the normed row and `r` what it was divided by, row by row:
    ///
    ///     y = (d − mean(d) − n · mean(d n)) / r      layer; without mean(d), rms
    ///     y = (d − n · Σ d n) / r                    l2, and unit, where the row is not too short for that; else d / r
    static func normAdjoint(
        _ kind: Norm, _ epsilon: Double, _ x: ReferenceValue, _ d: ReferenceValue, _ y: Doubles, _ rounder: Rounder
    ) {
        let count = x.shape.last
        var normed = [Double](repeating: 0, count: count), products = normed
        for r in 0..<x.shape.rows {
            let (row, given, y) = (x.row(r), d.row(r), y + r * count)
            var (mean, mostly) = (0.0, 0.0)
            if kind == .layer {
                for i in 0..<count {
                    mean += row[i]
                    mostly += given[i]
                }
                mean = (mean + rounder.sumError(row, count: count)) / Double(count)
                mostly = (mostly + rounder.sumError(given, count: count)) / Double(count)
            }
            for i in 0..<count { normed[i] = row[i] - mean }
            var squares = 0.0
            for i in 0..<count { squares += normed[i] * normed[i] }
            let divisor =
                switch kind {
                case .layer, .rms: rounder.inner((squares / Double(count) + epsilon).squareRoot())
                case .l2: rounder.inner((squares + epsilon).squareRoot())
                case .unit: max(rounder.inner(squares.squareRoot()), epsilon)
                }
            for i in 0..<count {
                normed[i] = rounder.inner(normed[i] / divisor)
                products[i] = given[i] * normed[i]
            }
            var share = products.reduce(0, +) + rounder.sumError(products, count: count)
            switch kind {
            case .layer, .rms: share /= Double(count)
            case .l2: break
            case .unit: if squares.squareRoot() <= epsilon { share = 0 }
            }
            for i in 0..<count {
                y[i] = (rounder.inner(given[i] - mostly) - rounder.inner(normed[i] * share)) / divisor
            }
        }
    }

    /// `(x [T, D], sequences [T], d [T, D]) → [T, D]`. Of a group of the `n` elements of all tokens that share a
    /// sequence with those of a set, which alone take their results from it, with `r` its divisor and `z` its normed
    /// elements: `y[j] += (d[j] (of those) − Σ d / n − z[j] · Σ d z / n) / r`.
    static func groupNormAdjoint(
        _ groups: Int, _ epsilon: Double, _ x: ReferenceValue, _ sequences: ReferenceValue, _ d: ReferenceValue,
        _ y: Doubles, _ rounder: Rounder
    ) throws {
        let (width, sets) = (x.shape[1], try sequences.integers())
        let columns = width / groups
        y.update(repeating: 0, count: x.count)
        for set in Set(sets).sorted() {
            let members = sets.indices.filter { sets[$0] & set != 0 }
            for group in 0..<groups {
                let places = members.flatMap { token in (0..<columns).map { token * width + group * columns + $0 } }
                let values = places.map { x[$0] }, given = places.map { sets[$0 / width] == set ? d[$0] : 0 }
                let count = Double(values.count)
                func sum(_ terms: [Double]) -> Double {
                    terms.reduce(0, +) + rounder.sumError(terms, count: terms.count)
                }
                let mean = sum(values) / count
                let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
                let divisor = rounder.inner((squares / count + epsilon).squareRoot())
                let normed = values.map { rounder.inner(($0 - mean) / divisor) }
                let mostly = sum(given) / count, share = sum(zip(given, normed).map { $0 * $1 }) / count
                for (i, place) in places.enumerated() {
                    y[place] += (rounder.inner(given[i] - mostly) - rounder.inner(normed[i] * share)) / divisor
                }
            }
        }
    }

    /// `(y [T, H, D], d [T, H, D], positions [T] or [S, T], factors [dimensions / 2]) → [dimensions / 2]`. With `(a,
    /// b)` a pair of `y`, its angle gives `d_b a − d_a b`, and the angle is `position · frequency`, which is inverse to
    /// the factor: `y[i] = −frequency(i) / factors[i] · Σ_t position[t] Σ_h (d_b a − d_a b)`.
    static func ropeFactorsAdjoint(
        _ rope: Rope, _ turned: ReferenceValue, _ d: ReferenceValue, _ positions: ReferenceValue,
        _ factors: ReferenceValue, _ y: Doubles, _ rounder: Rounder
    ) {
        let (tokens, heads, size, pairs) = (turned.shape[0], turned.shape[1], turned.shape[2], rope.dimensions / 2)
        let firstPositions = rope.firstPositions(in: positions.shape)
        for i in 0..<pairs {
            let (first, second) = rope.pairing == .normal ? (2 * i, 2 * i + 1) : (i, i + pairs)
            var terms: [Double] = []
            for t in 0..<tokens {
                let position = positions[firstPositions[i] + t]
                for h in 0..<heads {
                    let start = (t * heads + h) * size + rope.offset
                    terms.append(position * d[start + second] * turned[start + first])
                    terms.append(-position * d[start + first] * turned[start + second])
                }
            }
            let sum = terms.reduce(0, +) + rounder.sumError(terms, count: terms.count)
            y[i] = -rope.frequency(pair: i, factor: factors[i]) / factors[i] * sum
        }
    }

    /// `(d [H, T, C], positions [T], cellPositions [C]) → [buckets, H]`: `y[bucket(t, c), h] += d[h, t, c]`.
    static func relativePositionBiasAdjoint(
        _ buckets: Int, _ bidirectional: Bool, _ maxDistance: Int, _ d: ReferenceValue, _ positions: ReferenceValue,
        _ cellPositions: ReferenceValue, _ y: Doubles, _ rounder: Rounder
    ) throws {
        let (heads, tokens, cells) = (d.shape[0], try positions.integers(), try cellPositions.integers())
        y.update(repeating: 0, count: buckets * heads)
        rounder.sums(y, count: buckets * heads, terms: tokens.count * cells.count) { squares in
            for (t, position) in tokens.enumerated() {
                for (c, cell) in cells.enumerated() {
                    let bucket = relativePositionBucket(
                        cell - position, buckets: buckets, bidirectional: bidirectional, maxDistance: maxDistance)
                    for h in 0..<heads {
                        let given = d[(h * tokens.count + t) * cells.count + c]
                        y[bucket * heads + h] += given
                        if let squares { squares[bucket * heads + h] += given * given }
                    }
                }
            }
        }
    }

    /// The tokens of each slot, in their order.
    private static func membersOfSlots(_ slots: [Int]) -> [[Int]] {
        Set(slots).sorted().map { slot in slots.indices.filter { slots[$0] == slot } }
    }

    /// `(slots [T]) → [T]`: the token that comes `distance` before, among those of the same slot; `T` where there is
    /// none.
    static func neighbours(_ distance: Int, _ slots: ReferenceValue, _ y: Doubles) throws {
        for members in membersOfSlots(try slots.integers()) {
            for (i, token) in members.enumerated() {
                let other = i - distance
                y[token] = Double(members.indices.contains(other) ? members[other] : slots.count)
            }
        }
    }

    /// `(r, w, k [T, H, N], v [T, H, P], a, b [T, H, N], d [T, H, P], slots [T]) → [T, H, 5 N + P]`: the adjoints of
    /// `r`, `w`, `k`, `a`, `b` and `v` in
    ///
    ///     M[i, j] ← M[i, j] · w[j] + (Σ_l M[i, l] · a[l]) · b[j] + v[i] · k[j]
    ///     y[i] = Σ_j M[i, j] · r[j]
    ///
    /// where `M` is zero before a slot's first token. With `D` that of `M` after a token, to which later tokens and,
    /// where `y` is taken from it, `d rᵀ` have given, and `M₀` the memory before it:
    ///
    ///     r̄ = Mᵀ d      v̄ = D k      k̄ = Dᵀ v      b̄ = Dᵀ M₀ a      ā = M₀ᵀ D b      w̄[j] = Σ_i D[i, j] M₀[i, j]
    ///     D ← D Diag(w) + (D b) aᵀ
    ///
    /// and `d rᵀ` is added last, and `r̄ = M₀ᵀ d`, where `y` is taken before `M` changes.
    static func recurrenceAdjoint(_ x: [ReferenceValue], readsBefore: Bool, _ y: Doubles, _ rounder: Rounder) throws {
        let (r, w, k, v, a, b, d) = (x[0], x[1], x[2], x[3], x[4], x[5], x[6])
        let (tokens, heads, size, values) = (r.shape[0], r.shape[1], r.shape[2], v.shape[2])
        let (count, stride) = (values * size, 5 * size + values)
        y.update(repeating: 0, count: tokens * heads * stride)
        var memories = [Double](repeating: 0, count: (tokens + 1) * count)
        var room = [Double](repeating: 0, count: count + 2 * values)
        try memories.withUnsafeMutableBufferPointer { memories in
            try room.withUnsafeMutableBufferPointer { room in
                guard let memories = memories.baseAddress, let given = room.baseAddress else { return }
                let (removed, learned) = (given + count, given + count + values)
                /// `y = Mᵀ x`
                func products(_ matrix: UnsafePointer<Double>, _ x: UnsafePointer<Double>, _ y: Doubles) {
                    rounder.sums(y, count: size, terms: values) { squares in
                        for i in 0..<values { reference_add(x[i], matrix + i * size, y, squares, size) }
                    }
                }
                for members in membersOfSlots(try x[7].integers()) {
                    for h in 0..<heads {
                        let rows = members.map { $0 * heads + h }
                        for (step, row) in rows.enumerated() {
                            let (old, new) = (memories + step * count, memories + (step + 1) * count)
                            rounder.sums(removed, count: values, terms: size) { squares in
                                reference_products(a.row(row), old, removed, squares, 1, values, size)
                            }
                            for i in 0..<values {
                                for j in 0..<size { new[i * size + j] = old[i * size + j] * w[row * size + j] }
                                reference_add(removed[i], b.row(row), new + i * size, nil, size)
                                reference_add(v[row * values + i], k.row(row), new + i * size, nil, size)
                            }
                            rounder.state(new, count: count)
                        }
                        given.update(repeating: 0, count: count)
                        func read(_ row: Int) {
                            for i in 0..<values {
                                reference_add(d[row * values + i], r.row(row), given + i * size, nil, size)
                            }
                        }
                        for (step, row) in rows.enumerated().reversed() {
                            let (old, new) = (memories + step * count, memories + (step + 1) * count)
                            let (own, out) = (d.row(row), y + row * stride)
                            products(readsBefore ? old : new, own, out)
                            if !readsBefore { read(row) }
                            rounder.sums(removed, count: values, terms: size) { squares in
                                reference_products(a.row(row), old, removed, squares, 1, values, size)
                            }
                            rounder.sums(learned, count: values, terms: size) { squares in
                                reference_products(b.row(row), given, learned, squares, 1, values, size)
                            }
                            rounder.sums(out + size, count: size, terms: values) { squares in
                                for i in 0..<values {
                                    for j in 0..<size {
                                        let product = given[i * size + j] * old[i * size + j]
                                        out[size + j] += product
                                        if let squares { squares[j] += product * product }
                                    }
                                }
                            }
                            products(given, v.row(row), out + 2 * size)
                            products(old, learned, out + 3 * size)
                            products(given, removed, out + 4 * size)
                            rounder.sums(out + 5 * size, count: values, terms: size) { squares in
                                reference_products(k.row(row), given, out + 5 * size, squares, 1, values, size)
                            }
                            for i in 0..<values {
                                for j in 0..<size { given[i * size + j] *= w[row * size + j] }
                                reference_add(learned[i], a.row(row), given + i * size, nil, size)
                            }
                            if readsBefore { read(row) }
                            rounder.state(given, count: count)
                        }
                    }
                }
            }
        }
    }
}
