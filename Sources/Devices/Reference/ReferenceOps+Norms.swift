import CReference
import Foundation
import ModelGraph

extension ReferenceOps {
    /// `(x) → x` with `axis` reduced to extent 1: `y = Σ x` along it.
    static func sum(_ x: ReferenceValue, _ axis: Int, _ y: Doubles, _ rounder: Rounder) {
        let extent = x.shape[axis]
        let inner = x.shape.count(after: axis)
        let outer = x.shape.count(before: axis)
        y.update(repeating: 0, count: outer * inner)
        for i in 0..<outer {
            let sum = y + i * inner
            rounder.sums(sum, count: inner, terms: extent) { squares in
                for j in 0..<extent { reference_add(1, x.elements + (i * extent + j) * inner, sum, squares, inner) }
            }
        }
    }

    /// `(x […, D], [weight [D]], [bias [D]]) → […, D]`: `y = normalised(x) · weight + bias`, row by row; the kinds
    /// are defined at `Norm`.
    static func norm(
        _ kind: Norm, _ epsilon: Double, _ x: ReferenceValue, weight: ReferenceValue?, bias: ReferenceValue?,
        _ y: Doubles, _ rounder: Rounder
    ) {
        let count = x.shape.last
        for r in 0..<x.shape.rows {
            let (row, y) = (x.row(r), y + r * count)
            var mean = 0.0
            if kind == .layer {
                for i in 0..<count { mean += row[i] }
                mean = (mean + rounder.sumError(row, count: count)) / Double(count)
            }
            for i in 0..<count { y[i] = row[i] - mean }
            var squares = 0.0
            reference_products(y, y, &squares, nil, 1, 1, count)
            let divisor =
                switch kind {
                case .layer, .rms: rounder.inner((squares / Double(count) + epsilon).squareRoot())
                case .l2: rounder.inner((squares + epsilon).squareRoot())
                case .unit: max(rounder.inner(squares.squareRoot()), epsilon)
                }
            for i in 0..<count { y[i] /= divisor }
            if let weight { for i in 0..<count { y[i] *= weight[i] } }
            if let bias { for i in 0..<count { y[i] += bias[i] } }
        }
    }

    /// `(x [T, D], sequences [T]) → [T, D]`: `y = (x − mean) / √(variance + ε)` of each group of columns, over the
    /// tokens that share a sequence.
    static func groupNorm(
        _ groups: Int, _ epsilon: Double, _ x: ReferenceValue, _ sequences: ReferenceValue, _ y: Doubles,
        _ rounder: Rounder
    ) throws {
        let (width, sets) = (x.shape[1], try sequences.integers())
        let columns = width / groups
        for set in Set(sets).sorted() {
            let members = sets.indices.filter { sets[$0] & set != 0 }
            for group in 0..<groups {
                let places = members.flatMap { token in
                    (0..<columns).map { token * width + group * columns + $0 }
                }
                let values = places.map { x[$0] }
                let count = Double(values.count)
                let mean = (values.reduce(0, +) + rounder.sumError(values, count: values.count)) / count
                let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
                let divisor = rounder.inner((squares / count + epsilon).squareRoot())
                for (place, value) in zip(places, values) where sets[place / width] == set {
                    y[place] = (value - mean) / divisor
                }
            }
        }
    }

    /// `(x […, D]) → […, D]`: `y = exp(x − max x) / Σ exp(x − max x)`, row by row.
    static func softmax(_ x: ReferenceValue, _ y: Doubles, _ rounder: Rounder) {
        let count = x.shape.last
        for r in 0..<x.shape.rows {
            let y = y + r * count
            y.update(from: x.row(r), count: count)
            let total = exponentials(y, count, from: greatest(y, count), rounder)
            for i in 0..<count { y[i] /= total }
        }
    }

    static func greatest(_ x: UnsafePointer<Double>, _ count: Int) -> Double {
        var greatest = -Double.infinity
        for i in 0..<count where x[i] > greatest { greatest = x[i] }
        return greatest
    }

    /// `y ← exp(y − origin)`.
    /// - Returns: the sum.
    static func exponentials(_ y: Doubles, _ count: Int, from origin: Double, _ rounder: Rounder) -> Double {
        for i in 0..<count { y[i] -= origin }
        rounder.exponentials(y, count: count)
        reference_exp(y, y, count)
        rounder.exponentials(y, count: count)
        var total = 0.0
        for i in 0..<count { total += y[i] }
        return rounder.inner(total)
    }
}
