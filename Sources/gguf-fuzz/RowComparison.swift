import Foundation

/// Rows of logits or embeddings against those expected, judged row by row, so that one wrong token shows.
struct RowComparison {
    /// Normalised mean squared error of each row: `Σ (found − expected)² / Σ expected²`; infinite where
    /// only one of two elements is finite, or where the widths differ.
    let errors: [Double]
    /// Rows whose largest element is the same one.
    let agreeingTops: Int
    /// The row with the largest error.
    let worst: Int

    /// - Precondition: both have the same number of rows, at least one.
    init(expected: [[Double]], found: [[Double]]) {
        let errors = zip(expected, found).map(Self.error)
        self.errors = errors
        agreeingTops = zip(expected, found).count { Self.top($0) == Self.top($1) }
        worst = errors.indices.max { errors[$0] < errors[$1] } ?? 0
    }

    var worstError: Double { errors[worst] }

    static func top(_ row: [Double]) -> Int? { row.indices.max { row[$0] < row[$1] } }

    private static func error(_ expected: [Double], _ found: [Double]) -> Double {
        guard expected.count == found.count else { return .infinity }
        var error = 0.0, power = 0.0
        for (expected, found) in zip(expected, found) {
            // Equal infinities, and NaN where NaN is expected, agree.
            if expected == found || expected.isNaN && found.isNaN {
                if expected.isFinite { power += expected * expected }
                continue
            }
            guard expected.isFinite, found.isFinite else { return .infinity }
            error += (found - expected) * (found - expected)
            power += expected * expected
        }
        return error == 0 ? 0 : error / max(power, .leastNormalMagnitude)
    }
}
