import Foundation
import Fuzzing

/// What a comparison with a results file says, in words and as JSON.
struct ComparisonReport {
    enum Verdict: String, Encodable {
        case agrees, differs
        /// Correct arithmetic may choose another expert than the file's engine did.
        case undecided
    }
    enum Limit {
        /// Of the NMSE of each row.
        case tolerance(Double)
        /// As multiples of the noise floor.
        case noise(Double, hasTies: Bool)
    }

    let comparison: RowComparison
    let limit: Limit
    let expected: ResultsFile
    let found: PlacedEngine
    /// Rows that are printed at once.
    private static let fewRows = 16
    private static let worstRows = 10

    var verdict: Verdict {
        let worst = comparison.rows[comparison.worst]
        return switch limit {
        case .tolerance(let tolerance): worst.error <= tolerance ? .agrees : .differs
        case .noise(let limit, let hasTies):
            (worst.noise ?? .infinity) <= limit ? .agrees : hasTies ? .undecided : .differs
        }
    }

    /// The rows, if they are few or all of them are asked for; else how they are spread, and the worst.
    func printRows(all: Bool) {
        let rows = comparison.rows
        if all || rows.count <= Self.fewRows { return table(rows.indices.map { $0 }).print() }
        var spread = TextTable(
            [Format.amount(rows.count, "row"), "least", "median", "90%", "99%", "greatest"],
            rightAligned: [1, 2, 3, 4, 5])
        func add(_ name: String, _ values: [Double], _ text: (Double) -> String) {
            let ascending = values.sorted()
            guard !ascending.isEmpty else { return }
            spread.rows.append([name] + [0, 0.5, 0.9, 0.99, 1].map { text(RowComparison.quantile($0, ascending)) })
        }
        add("NMSE", rows.map(\.error), Format.error)
        add("KL", rows.compactMap(\.divergence), Format.error)
        add("noise", rows.compactMap(\.noise), Format.multiple)
        spread.print()
        let different = rows.indices.filter { rows[$0].error > 0 }
        if different.isEmpty { return }
        print("\nthe worst")
        let worst = different.sorted { rows[$0].isWorse(than: rows[$1]) }
        table(worst.prefix(Self.worstRows).sorted()).print()
    }

    private func table(_ indices: [Int]) -> TextTable {
        let rows = comparison.rows
        let (hasTops, hasKL) = (rows.first?.top != nil, rows.first?.divergence != nil)
        let hasNoise = rows.first?.noise != nil
        var table = TextTable(
            ["row", "token", "NMSE"] + (hasKL ? ["KL"] : []) + (hasNoise ? ["noise"] : []) + (hasTops ? ["top-1"] : []),
            rightAligned: Set(0..<(3 + (hasKL ? 1 : 0) + (hasNoise ? 1 : 0))))
        for index in indices {
            let row = rows[index]
            var cells = ["\(row.position ?? index)", row.position.map { "\(expected.tokens[$0])" } ?? "all"]
            cells.append(Format.error(row.error))
            if let divergence = row.divergence { cells.append(Format.error(divergence)) }
            if let noise = row.noise { cells.append(Format.multiple(noise)) }
            if let top = row.top, let expected = row.expectedTop {
                cells.append(top == expected ? "\(top)" : "\(top), expected \(expected)")
            }
            table.rows.append(cells)
        }
        return table
    }

    /// `differs: cpu against reference, NMSE 0.31 in row 7, KL 0.02, top-1 agrees in 3 of 8 rows; tolerance 1.0e-06`
    var line: String {
        let rows = comparison.rows
        let worst = rows[comparison.worst]
        var parts = ["\(verdict.rawValue): \(found.placement) against \(expected.origin.placement)"]
        let place = "in row \(worst.position ?? comparison.worst)"
        if let noise = worst.noise {
            parts.append("\(Format.multiple(noise)) times the noise floor \(place), NMSE \(Format.error(worst.error))")
        } else {
            parts.append("NMSE \(Format.error(worst.error)) \(place)")
        }
        if let divergence = comparison.worstDivergence { parts.append("KL at most \(Format.error(divergence))") }
        if worst.top != nil { parts.append("top-1 agrees in \(comparison.agreeingTops) of \(rows.count) rows") }
        let limit = switch limit {
        case .tolerance(let tolerance): "tolerance \(Format.error(tolerance))"
        case .noise(let limit, _):
            "limit \(Format.multiple(limit))"
                + (verdict == .undecided ? "; a choice among experts was too narrow to be held to it" : "")
        }
        return parts.joined(separator: ", ") + "; " + limit
    }
}

// MARK: As JSON

extension ComparisonReport {
    private struct Side: Encodable {
        var model: String
        var sha256: String?
        var engine: String
        var version: String
        var device: String
        var placement: String
    }
    private struct Row: Encodable {
        var position: Int?
        var token: Int?
        var nmse: Double
        var kl: Double?
        var noise: Double?
        var top: Int?
        var expectedTop: Int?
    }
    private struct Report: Encodable {
        var verdict: Verdict
        var expected: Side
        var found: Side
        var tolerance: Double?
        var noiseLimit: Double?
        /// The index of the worst of `rows`.
        var worst: Int
        var nmse: Double
        var topAgreement: Int?
        var rows: [Row]
    }

    /// One object; numbers that JSON lacks are strings.
    func json(model: String, hash: String?) throws -> Data {
        let rows = comparison.rows
        let origin = expected.origin
        var report = Report(
            verdict: verdict,
            expected: Side(
                model: expected.modelPath, sha256: origin.modelHash, engine: origin.engine,
                version: origin.engineVersion, device: origin.device, placement: origin.placement),
            found: Side(
                model: model, sha256: hash, engine: found.engine.name, version: found.version,
                device: found.device.name, placement: found.placement.description),
            worst: comparison.worst, nmse: comparison.overall,
            topAgreement: rows.first?.top == nil ? nil : comparison.agreeingTops,
            rows: rows.map { row in
                Row(
                    position: row.position, token: row.position.map { expected.tokens[$0] }, nmse: row.error,
                    kl: row.divergence, noise: row.noise, top: row.top, expectedTop: row.expectedTop)
            })
        switch limit {
        case .tolerance(let tolerance): report.tolerance = tolerance
        case .noise(let limit, _): report.noiseLimit = limit
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "infinity", negativeInfinity: "-infinity", nan: "nan")
        return try encoder.encode(report) + Data("\n".utf8)
    }
}
