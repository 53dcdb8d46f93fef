import CReference
import GGUF
import ModelGraph

/// What each op computes, from its operands' elements to those of its result, `y`.
///
/// Shapes are those that shape inference admits; indices are checked here. What a rounder does to the numbers is
/// said at `Rounding`: without one to imitate, nothing.
enum ReferenceOps {}

extension ReferenceOps {
    /// `(table [N, …D], indices […]) → […, …D]`: `y[i] = table[indices[i]]`.
    static func rows(_ table: ReferenceValue, _ indices: ReferenceValue, _ y: Doubles) throws {
        let length = table.count / table.shape[0]
        for i in 0..<indices.count {
            let row = try indices.index(i, of: "row", below: table.shape[0])
            (y + i * length).update(from: table.elements + row * length, count: length)
        }
    }

    /// `(x […, K], weight [N, K]) → […, N]`: `y[r, n] = Σ_k x[r, k] · weight[n, k]`.
    static func matmul(_ x: ReferenceValue, _ weight: ReferenceValue, _ y: Doubles, _ rounder: Rounder) {
        let (rows, outputs, inputs) = (x.shape.rows, weight.shape[0], weight.shape[1])
        let arithmetic = rounder.arithmetic(weight.type, rows: rows)
        rounder.operands(x.elements, count: x.count, arithmetic, hasSums: weight.type.hasMinima) { x in
            let unit = rounder.productUnit(arithmetic, type: weight.type, terms: inputs)
            rounder.sums(
                y, count: rows * outputs, terms: inputs, unit: unit, isNarrow: arithmetic.hasNarrowSums) { squares in
                reference_products(x, weight.elements, y, squares, rows, outputs, inputs)
            }
        }
    }

    /// `(x [T, 1 or k, K], weight [E, N, K], experts [T, k]) → [T, k, N]`:
    /// `y[t, i, n] = Σ_j x[t, i, j] · weight[experts[t, i], n, j]`, with `x[t, 0]` for every `i` where there is
    /// one row a token.
    static func expertMatmul(
        _ x: ReferenceValue, _ weight: ReferenceValue, _ experts: ReferenceValue, _ y: Doubles, _ rounder: Rounder
    ) throws {
        let (used, outputs, inputs) = (experts.shape[1], weight.shape[1], weight.shape[2])
        // Expert by expert, so that each one's weights are read once.
        var users = [[Int]](repeating: [], count: weight.shape[0])
        for i in 0..<experts.count { users[try experts.index(i, of: "expert", below: users.count)].append(i) }
        let hasOneRow = x.shape[1] == 1
        let arithmetic = rounder.arithmetic(weight.type, rows: experts.shape[0], isOfExperts: true)
        rounder.operands(x.elements, count: x.count, arithmetic, hasSums: weight.type.hasMinima) { x in
            let unit = rounder.productUnit(arithmetic, type: weight.type, terms: inputs)
            rounder.sums(
                y, count: experts.count * outputs, terms: inputs, unit: unit,
                isNarrow: arithmetic.hasNarrowSums) { squares in
                for (expert, results) in users.enumerated() where !results.isEmpty {
                    let rows = hasOneRow ? results.map { $0 / used } : results
                    reference_products_of_rows(
                        x, rows, weight.row(expert * outputs), y, squares, results, results.count, outputs, inputs)
                }
            }
        }
    }

    /// `(x [T, H, K], weight [H, N, K]) → [T, H, N]`: `y[t, h, n] = Σ_k x[t, h, k] · weight[h, n, k]`.
    static func headMatmul(_ x: ReferenceValue, _ weight: ReferenceValue, _ y: Doubles, _ rounder: Rounder) {
        let (heads, outputs, inputs) = (weight.shape[0], weight.shape[1], weight.shape[2])
        let rows = x.shape.rows
        let arithmetic = rounder.arithmetic(weight.type, rows: x.shape[0])
        rounder.operands(x.elements, count: x.count, arithmetic, hasSums: weight.type.hasMinima) { x in
            let unit = rounder.productUnit(arithmetic, type: weight.type, terms: inputs)
            rounder.sums(
                y, count: rows * outputs, terms: inputs, unit: unit, isNarrow: arithmetic.hasNarrowSums) { squares in
                for row in 0..<rows {
                    let start = row * outputs
                    reference_products(
                        x + row * inputs, weight.row(row % heads * outputs), y + start, squares.map { $0 + start }, 1,
                        outputs, inputs)
                }
            }
        }
    }

    /// `(x [T, D], weights [S, T]) → [S, D]`: `y[s] = Σ_t weights[s, t] · x[t]`. A weight of zero leaves a token
    /// out, whatever it holds.
    static func pool(_ x: ReferenceValue, _ weights: ReferenceValue, _ y: Doubles, _ rounder: Rounder) {
        let (tokens, size, sequences) = (x.shape[0], x.shape[1], weights.shape[0])
        y.update(repeating: 0, count: sequences * size)
        for s in 0..<sequences {
            let sum = y + s * size
            rounder.sums(sum, count: size, terms: tokens) { squares in
                for t in 0..<tokens where weights[s * tokens + t] != 0 {
                    reference_add(weights[s * tokens + t], x.row(t), sum, squares, size)
                }
            }
        }
    }
}

extension Optional<Precision.Arithmetic> {
    var hasNarrowSums: Bool { self.map { $0.sums != .full } ?? false }
}

extension Optional<TensorType> {
    /// Whether products with weights of this type need the sums of what they are multiplied with.
    fileprivate var hasMinima: Bool { self == .q4_1 || self == .q5_1 }
}
