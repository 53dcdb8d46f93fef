import Faults
import Foundation
import Fuzzing

/// The faults and how each was found, as text and as Markdown.
final class FaultTable: @unchecked Sendable {
    // Trials arrive one at a time.
    private let seed: UInt64
    private let cases: UInt64
    private var trials: [FaultTrial] = []
    private static let titles = [
        "fault", "cases", "unsteered", "runs", "time", "layers", "tokens", "smallest", "found by",
    ]
    private static let widths = [38, 5, 9, 5, 7, 6, 6, 8, 0]

    private let isSteered: Bool

    init(seed: UInt64, cases: UInt64, isSteered: Bool) {
        self.seed = seed
        self.cases = cases
        self.isSteered = isSteered
    }

    var count: Int { trials.count }
    var found: Int { trials.count { $0.cases != nil } }

    func printTitles() { Terminal.line(line(Self.titles)) }

    func add(_ trial: FaultTrial) {
        trials.append(trial)
        Terminal.line(line(Self.cells(trial)))
    }

    /// What is compared with not steering is left out where nothing steers.
    private func line(_ cells: [String]) -> String {
        zip(cells, Self.widths).enumerated().compactMap { index, cell in
            index == 2 && !isSteered ? nil : cell.0.padded(to: cell.1, alignsRight: (1...6).contains(index))
        }.joined(separator: "  ")
    }

    private static func cells(_ trial: FaultTrial) -> [String] {
        let unsteered = trial.unsteeredCases.map { "\($0)" } ?? "-"
        guard let cases = trial.cases else {
            return [trial.fault.name, "-", unsteered, "", "", "", "", "", "not found"]
        }
        guard let shrunk = trial.shrunk else {
            return [trial.fault.name, "\(cases)", unsteered, "", "", "", "", "", "did not fail again"]
        }
        let smallest = switch trial.minimality {
        case .least?: "yes"
        case .noneSmaller?: "yes*"
        case nil: "no"
        }
        let signature = shrunk.failure.signature
        return [
            trial.fault.name, "\(cases)", unsteered, "\(shrunk.evaluations)", Format.duration(trial.duration),
            "\(shrunk.case.layers)", "\(shrunk.case.tokens)", smallest,
            "\(signature.check.rawValue) of \(signature.architecture): \(signature.kind)",
        ]
    }

    /// The figures that all faults together give.
    var summary: [String] {
        let shrunk = trials.filter { $0.shrunk != nil }
        let smallest = shrunk.count { $0.minimality != nil }
        func median(_ numbers: [UInt64]) -> String {
            numbers.isEmpty ? "-" : "\(numbers.sorted()[(numbers.count - 1) / 2])"
        }
        func share(_ part: Int, of whole: Int) -> String {
            whole == 0 ? "" : String(format: " (%.1f %%)", 100 * Double(part) / Double(whole))
        }
        return [
            "found within \(cases) cases: \(found) of \(count)\(share(found, of: count)), "
                + "the median after \(median(trials.compactMap(\.cases)))",
            "smallest: \(smallest) of \(shrunk.count)\(share(smallest, of: shrunk.count))",
            "runs to shrink a case: median \(median(shrunk.compactMap { $0.shrunk.map { UInt64($0.evaluations) } }))",
        ] + (isSteered ? [steeringWords(median)] : [])
    }

    /// How much sooner faults are found with steering: what is not found counts as found right after all cases.
    private func steeringWords(_ median: ([UInt64]) -> String) -> String {
        func count(_ cases: UInt64?) -> UInt64 { cases ?? self.cases + 1 }
        let pairs = trials.map { (with: count($0.cases), without: count($0.unsteeredCases)) }
        let sooner = pairs.count { $0.with < $0.without }, later = pairs.count { $0.with > $0.without }
        func total(_ numbers: [UInt64]) -> String { Format.count(Int(clamping: numbers.reduce(0, +))) }
        return "with steering \(sooner) are found sooner than without, \(later) later; the median after "
            + "\(median(pairs.map(\.with))) cases and \(median(pairs.map(\.without))), all together after "
            + "\(total(pairs.map(\.with))) and \(total(pairs.map(\.without)))"
    }

    var markdown: String {
        var lines = [
            "# Known faults", "",
            "Made by `gguf-fuzz faults --seed \(seed) --cases \(cases)\(isSteered ? " --steer" : "") "
                + "-o Fuzz/faults.md`: "
                + "each fault is put into the `cpu` device, and cases",
            "are run until one fails, which is then shrunk.", "",
        ]
        lines += summary.map { "- \($0)" }
        lines += [
            "",
            "*cases*: until the fault was found; *runs*: cases that shrinking judged; "
                + "*layers*, *tokens*: of the smallest case.",
            "*smallest*: `yes`: no model can show the fault with fewer layers or tokens; "
                + "`yes*`: none of hundreds of random",
            "cases of that architecture and check that have fewer fails; `no`: one does.", "",
            "| fault | what goes wrong | cases | \(isSteered ? "unsteered | " : "")"
                + "runs | layers | tokens | smallest | found by |",
            "|---|---|--:|\(isSteered ? "--:|" : "")--:|--:|--:|---|---|",
        ]
        lines += trials.map { trial in
            let cells = Self.cells(trial)
            let columns = ([1] + (isSteered ? [2] : []) + [3, 5, 6, 7, 8]).map { cells[$0] }.joined(separator: " | ")
            return "| \(cells[0]) | \(trial.fault.about) | \(columns) |"
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
