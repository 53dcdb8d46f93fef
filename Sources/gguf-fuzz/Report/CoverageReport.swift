import Architectures
import Foundation
import Fuzzing

/// Which features the cases had, and which they did not.
struct CoverageReport {
    var words: String
    var growth: Growth?
    var unseen: [Unseen]
    var unseenPairs: [PairRow]
    var features: [ReportPage.CountRow]

    /// How much had been seen after how many cases.
    struct Growth {
        var width = "520"
        var height = "176"
        var base = "150"
        var curves: [Curve]
        var marks: [Mark]
        var caption: String

        struct Curve {
            var style: String
            var points: String
        }

        struct Mark {
            var x: String
            var y: String
            var side: String
            var text: String
        }
    }

    /// Features of one kind that no case had.
    struct Unseen {
        var kind: String
        var count: String
        var names: [String]
    }

    /// Two features that no case had together.
    struct PairRow {
        var first: String
        var second: String
        /// How many cases would have had both if they were drawn apart.
        var expected: String
    }

    /// - Throws: what drawing models throws.
    init(_ tally: Tally, _ plan: RunPlan) throws {
        let coverage = tally.coverage
        let (featureCount, pairCount) = (coverage.features.count, coverage.pairCount)
        features = ReportPage.CountRow.rows(
            Dictionary(uniqueKeysWithValues: zip(coverage.features, coverage.counts)), of: tally.cases)
        let types = plan.architectures.compactMap { try? ArchitectureCatalog.named($0) }
        let seen = Set(coverage.features)
        let missing = try FeatureCatalog.features(of: types, checks: plan.checks.compactMap(Check.init))
            .subtracting(seen)
        unseen = Dictionary(grouping: missing) { $0.kind }.sorted { $0.key < $1.key }.map { kind, features in
            Unseen(
                kind: kind, count: Format.count(features.count),
                names: features.map { String($0.dropFirst(kind.count + 1)) }.sorted())
        }
        unseenPairs = Self.unseenPairs(coverage, cases: tally.cases)
        words = "\(Format.amount(featureCount, "feature")) and \(Format.amount(pairCount, "pair")) of features were "
            + "seen; \(Format.amount(missing.count, "feature")) that the plan could draw never "
            + "\(missing.count == 1 ? "was" : "were")."
        growth = tally.cases > 1 ? Growth(coverage, cases: tally.cases) : nil
    }

    /// Those that chance would have brought together most often. Keys and tensors of different architectures never
    /// meet, nor do two checks.
    private static func unseenPairs(_ coverage: Coverage, cases: Int) -> [PairRow] {
        let ofModel: Set = ["key", "tensor"], ofCheck: Set = [
            "check", "transformation", "contradiction", "damage", "tokenizer", "pre-tokenizer", "text",
            "tokens", "token",
        ]
        let withoutTensors = Check.allCases.filter { !$0.isOfTensors }.map { "check \($0.rawValue)" }
        let numbers = coverage.features.indices.sorted { coverage.counts[$0] > coverage.counts[$1] }
        var rows: [(row: PairRow, expected: Double)] = []
        for (position, first) in numbers.enumerated() {
            for second in numbers[(position + 1)...] {
                let expected = Double(coverage.counts[first]) * Double(coverage.counts[second]) / Double(cases)
                // The rest of a row is rarer still.
                guard expected >= Self.leastExpected else { break }
                let (one, other) = (coverage.features[first], coverage.features[second])
                guard coverage.count(of: one, and: other) == 0,
                    ![one, other].contains(where: withoutTensors.contains),
                    ![ofModel, ofCheck].contains(where: { $0.contains(one.kind) && $0.contains(other.kind) }),
                    !ofCheck.contains(one.kind) && !ofCheck.contains(other.kind)
                        || ![one, other].contains(where: { ofCheck.subtracting(["check"]).contains($0.kind) })
                else { continue }
                let row = PairRow(first: one, second: other, expected: Format.rate(expected))
                rows.append((row, expected))
            }
        }
        return rows.sorted { $0.expected > $1.expected }.prefix(Self.mostPairs).map(\.row)
    }

    /// What seldom meets by chance says nothing by never meeting.
    private static let leastExpected = 5.0
    private static let mostPairs = 100
}

extension CoverageReport.Growth {
    /// The mean over all orders of the cases, which their counts alone give, whatever machines they were judged on: a
    /// feature that `count` of `cases` had is missing from a part `f` of them with the probability `(1 - f) ^ count`
    /// (rarefaction, H. L. Sanders 1968). What only one case had tells how often the next shows something new
    /// (I. J. Good 1953).
    init(_ coverage: Coverage, cases: Int) {
        // Many have the same count.
        let features = Dictionary(grouping: coverage.counts) { $0 }.mapValues(\.count)
        let pairs = Dictionary(grouping: coverage.pairs.values) { $0 }.mapValues(\.count)
        func curve(_ counts: [Int: Int], _ style: String) -> CoverageReport.Growth.Curve {
            let total = Double(max(1, counts.values.reduce(0, +)))
            let points = (0...52).map { step -> String in
                // Close together where it is steep.
                let part = pow(Double(step) / 52, 2)
                let seen = counts.reduce(0.0) { $0 + Double($1.value) * (1 - pow(1 - part, Double($1.key))) }
                return "\(NoisePlot.text(520 * part)),\(NoisePlot.text(150 - 140 * seen / total))"
            }
            return CoverageReport.Growth.Curve(style: style, points: points.joined(separator: " "))
        }
        curves = [curve(features, ""), curve(pairs, "second")]
        marks = [
            Mark(x: "0", y: "168", side: "start", text: "0"),
            Mark(x: "260", y: "168", side: "middle", text: Format.count(cases / 2)),
            Mark(x: "520", y: "168", side: "end", text: Format.amount(cases, "case")),
        ]
        let next = Double(pairs[1] ?? 0) / Double(cases)
        caption = "Blue: features, of \(Format.count(coverage.features.count)); red: pairs, of "
            + "\(Format.count(coverage.pairCount)), that so many of the cases show, on average over their orders. "
            + "One more case would show about \(String(format: "%.2g", next)) new pairs."
    }
}

extension String {
    /// Of a feature: `key` of `key attention.head_count`.
    fileprivate var kind: String { String(prefix { $0 != " " }) }
}
