import Foundation

/// Rows of logits or embeddings against those expected, judged row by row, so that one wrong token shows.
struct RowComparison {
    struct Row {
        /// The token that the row is of; nil: of all.
        var position: Int?
        /// Normalised mean squared error, `Σ (found − expected)² / Σ expected²`; infinite where only one of two
        /// elements is finite.
        var error: Double
        /// Of logits of the whole vocabulary: the Kullback-Leibler divergence of the probabilities that are found from
        /// those expected, `Σ p ln (p / q)`, in nats.
        var divergence: Double?
        /// Of logits: the token with the greatest.
        var top: Int?
        var expectedTop: Int?
        /// The difference as a multiple of the noise floor, where that was asked for.
        var noise: Double?

        var topAgrees: Bool { top == expectedTop }

        func isWorse(than other: Row) -> Bool { (noise ?? 0, error) > (other.noise ?? 0, other.error) }
    }
    var rows: [Row]
    /// NMSE of all rows taken together, as `llama-results` judges.
    let overall: Double

    /// - Throws: `CommandError` where the rows are of different sizes.
    init(_ expected: ResultsFile, _ found: Results, path: String) throws {
        let rowCount = found.rows.keys.count, width = found.rows.width
        let isSame = expected.kind == found.kind && expected.rowCount == rowCount
            && (expected.tops != nil ? expected.tops?.max() ?? 0 < width : expected.width == width)
        guard isSame else {
            let of = expected.tops?.max().map { "of tokens up to \($0)" } ?? "× \(expected.width)"
            throw CommandError(
                "\(path): holds \(expected.kind.rawValue) \(expected.rowCount) \(of), "
                    + "the model gives \(found.kind.rawValue) \(rowCount) × \(width)")
        }
        var total = SquaredError()
        rows = (0..<rowCount).map { index in
            let own = found.rows.row(at: index)
            let other = expected.row(index)
            let tops = expected.tops(index)
            var error = SquaredError()
            if let tops {
                for (id, value) in zip(tops, other) { error.add(own[own.startIndex + Int(id)], Double(value)) }
            } else {
                for (mine, value) in zip(own, other) { error.add(mine, Double(value)) }
            }
            total.add(error)
            var row = Row(position: expected.position(index), error: error.value)
            if found.kind == .logits {
                row.divergence = tops == nil ? Self.divergence(own, from: other.lazy.map(Double.init)) : nil
                row.top = own.indices.max { own[$0] < own[$1] }.map { $0 - own.startIndex }
                row.expectedTop = tops?.first.map(Int.init)
                    ?? other.indices.max { other[$0] < other[$1] }.map { $0 - other.startIndex }
            }
            return row
        }
        overall = total.value
    }

    /// The row with the largest error, as a multiple of the noise floor where there is one.
    var worst: Int {
        rows.indices.max { rows[$1].isWorse(than: rows[$0]) } ?? 0
    }
    var agreeingTops: Int { rows.count { $0.topAgrees } }
    /// nil where there are no probabilities.
    var worstDivergence: Double? { rows.compactMap(\.divergence).max() }

    /// The value below which a share of the rows lies.
    static func quantile(_ share: Double, _ ascending: [Double]) -> Double {
        ascending[min(ascending.count - 1, Int((Double(ascending.count - 1) * share).rounded(.up)))]
    }

    private static func divergence(
        _ found: ArraySlice<Double>, from expected: some Collection<Double>
    ) -> Double {
        // ln Σ exp, without overflow: the logarithm of what the logits are divided by.
        func normaliser(_ logits: some Collection<Double>) -> Double {
            let greatest = logits.max() ?? 0
            return greatest + log(logits.reduce(0) { $0 + exp($1 - greatest) })
        }
        let (own, other) = (normaliser(found), normaliser(expected))
        var sum = 0.0
        for (mine, theirs) in zip(found, expected) {
            let probability = exp(theirs - other)
            if probability > 0 { sum += probability * ((theirs - other) - (mine - own)) }
        }
        return sum.isNaN ? .infinity : max(0, sum)
    }
}

/// The sum of squared differences, and of the squares of what was expected.
struct SquaredError {
    private var error = 0.0
    private var power = 0.0

    mutating func add(_ found: Double, _ expected: Double) {
        // Equal infinities agree.
        if found == expected {
            if expected.isFinite { power += expected * expected }
            return
        }
        let difference = found - expected
        error += difference.isFinite ? difference * difference : .infinity
        if expected.isFinite { power += expected * expected }
    }

    mutating func add(_ other: SquaredError) {
        error += other.error
        power += other.power
    }

    var value: Double { error == 0 ? 0 : error / max(power, .leastNormalMagnitude) }
}
