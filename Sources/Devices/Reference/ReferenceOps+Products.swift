import ModelGraph

/// What each op computes, from its operands' elements to its result's.
///
/// Shapes are those that shape inference admits; indices are checked here.
enum ReferenceOps {}

extension ReferenceOps {
    /// `(table [N, …D], indices […]) → […, …D]`: `y[i] = table[indices[i]]`.
    static func rows(_ table: ReferenceValue, _ indices: ReferenceValue) throws -> [Double] {
        try indices.elements.indices.flatMap { i in
            table.block(try indices.index(i, of: "row", below: table.shape[0]))
        }
    }

    /// `(x […, K], weight [N, K]) → […, N]`: `y[r, n] = Σ_k x[r, k] · weight[n, k]`.
    static func matmul(_ x: ReferenceValue, _ weight: ReferenceValue) -> [Double] {
        var y: [Double] = []
        for row in 0..<x.shape.rows {
            for n in 0..<weight.shape[0] { y.append(dot(x.row(row), weight.row(n))) }
        }
        return y
    }

    /// `(x [T, 1 or k, K], weight [E, N, K], experts [T, k]) → [T, k, N]`:
    /// `y[t, i, n] = Σ_j x[t, i, j] · weight[experts[t, i], n, j]`, with `x[t, 0]` for every `i` where there is
    /// one row a token.
    static func expertMatmul(
        _ x: ReferenceValue, _ weight: ReferenceValue, _ experts: ReferenceValue
    ) throws -> [Double] {
        let (tokens, used, outputs) = (experts.shape[0], experts.shape[1], weight.shape[1])
        var y: [Double] = []
        for t in 0..<tokens {
            for i in 0..<used {
                let expert = try experts.index(t * used + i, of: "expert", below: weight.shape[0])
                let row = x.row(x.shape[1] == 1 ? t : t * used + i)
                for n in 0..<outputs { y.append(dot(row, weight.row(expert * outputs + n))) }
            }
        }
        return y
    }

    /// `(x [T, H, K], weight [H, N, K]) → [T, H, N]`: `y[t, h, n] = Σ_k x[t, h, k] · weight[h, n, k]`.
    static func headMatmul(_ x: ReferenceValue, _ weight: ReferenceValue) -> [Double] {
        let (tokens, heads, outputs) = (x.shape[0], x.shape[1], weight.shape[1])
        var y: [Double] = []
        for t in 0..<tokens {
            for h in 0..<heads {
                for n in 0..<outputs { y.append(dot(x.row(t * heads + h), weight.row(h * outputs + n))) }
            }
        }
        return y
    }

    /// `(x [T, D], weights [S, T]) → [S, D]`: `y[s] = Σ_t weights[s, t] · x[t]`. A weight of zero leaves a token
    /// out, whatever it holds.
    static func pool(_ x: ReferenceValue, _ weights: ReferenceValue) -> [Double] {
        let (tokens, size, sequences) = (x.shape[0], x.shape[1], weights.shape[0])
        var y = [Double](repeating: 0, count: sequences * size)
        for s in 0..<sequences {
            for t in 0..<tokens where weights[s * tokens + t] != 0 {
                add(weights[s * tokens + t], x.row(t), to: &y, at: s * size)
            }
        }
        return y
    }
}
