import Foundation
import ModelGraph

extension ReferenceOps {
    /// `(x) → x` with `axis` reduced to extent 1: `y = Σ x` along it.
    static func sum(_ x: ReferenceValue, _ axis: Int) -> [Double] {
        let extent = x.shape[axis]
        let inner = x.shape.dimensions[(axis + 1)...].reduce(1, *)
        let outer = x.shape.dimensions[..<axis].reduce(1, *)
        var y = [Double](repeating: 0, count: outer * inner)
        for i in 0..<outer {
            for j in 0..<extent {
                let first = (i * extent + j) * inner
                add(1, x.elements[first ..< first + inner], to: &y, at: i * inner)
            }
        }
        return y
    }

    /// `(x […, D], [weight [D]], [bias [D]]) → […, D]`: `y = normalised(x) · weight + bias`, row by row; the kinds
    /// are defined at `Norm`.
    static func norm(
        _ kind: Norm, _ epsilon: Double, _ x: ReferenceValue, weight: ReferenceValue?, bias: ReferenceValue?
    ) -> [Double] {
        (0..<x.shape.rows).flatMap { r -> [Double] in
            let row = x.row(r)
            let mean = kind == .layer ? row.reduce(0, +) / Double(row.count) : 0
            let centred = row.map { $0 - mean }
            let squares = dot(centred[...], centred[...])
            let divisor =
                switch kind {
                case .layer, .rms: (squares / Double(row.count) + epsilon).squareRoot()
                case .l2: (squares + epsilon).squareRoot()
                case .unit: max(squares.squareRoot(), epsilon)
                }
            return centred.indices.map { centred[$0] / divisor * (weight?[$0] ?? 1) + (bias?[$0] ?? 0) }
        }
    }

    /// `(x […, D]) → […, D]`: `y = exp(x − max x) / Σ exp(x − max x)`, row by row.
    static func softmax(_ x: ReferenceValue) -> [Double] {
        (0..<x.shape.rows).flatMap { r -> [Double] in
            let row = x.row(r)
            let greatest = row.max() ?? 0
            let powers = row.map { exp($0 - greatest) }
            let total = powers.reduce(0, +)
            return powers.map { $0 / total }
        }
    }
}
