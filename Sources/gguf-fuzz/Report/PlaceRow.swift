import Foundation
import Fuzzing

/// An architecture's row of the table of architectures and devices.
struct PlaceRow {
    var architecture: String
    /// `failed`, `known`, `discarded`: what there is in any of its cells, a line each.
    var states: String
    var cells: [Cell]

    struct Cell {
        /// No case of the architecture was judged on the device.
        var isAbsent = true
        /// `failed`, or `heat` for errors of what passed; empty where nothing was compared row by row.
        var kind = ""
        /// From 0, no error, to 1, the most that passes.
        var heat = ""
        /// What the column is sorted by: failures before errors.
        var value = ""
        var text = ""
        var detail = ""
    }

    /// Rows in the order of the plan's architectures.
    static func rows(_ tally: Tally, _ plan: RunPlan, _ devices: [String]) -> [PlaceRow] {
        let names = plan.architectures
            + Set(tally.cells.keys.map(\.architecture)).subtracting(plan.architectures).sorted()
        return names.compactMap { architecture in
            let cells = devices.map { tally.cells[.init(architecture: architecture, device: $0)] }
            let present = cells.compactMap { $0 }
            guard !present.isEmpty else { return nil }
            let states = [
                present.contains { $0.failures > 0 } ? "failed" : nil,
                present.contains { $0.known > 0 } ? "known" : nil,
                present.contains { $0.discards > 0 } ? "discarded" : nil,
            ]
            return PlaceRow(
                architecture: architecture, states: states.compactMap { $0 }.joined(separator: "\n"),
                cells: cells.map { $0.map(Cell.init) ?? Cell() })
        }
    }
}

extension PlaceRow.Cell {
    fileprivate init(_ cell: Tally.Cell) {
        isAbsent = false
        kind = cell.failures > 0 ? "failed" : cell.worst == nil ? "" : "heat"
        // Errors spread over many powers of two.
        let worst = cell.worst ?? 0
        heat = String(format: "%.2f", min(1, log2(1 + worst) / log2(1 + NoiseFloor.limit)))
        value = String(format: "%.4g", Double(cell.failures) * 1e6 + (worst.isFinite ? min(worst, 1e5) : 1e5))
        text = if cell.failures > 0 {
            "\(Format.count(cell.failures)) failed"
        } else {
            cell.worst.map(Format.multiple) ?? (cell.verdicts > cell.known + cell.discards ? "passed" : "–")
        }
        var parts = [Format.amount(cell.verdicts, "verdict")]
        if cell.failures > 0, let worst = cell.worst { parts.append("others to \(Format.multiple(worst))") }
        if cell.known > 0 { parts.append("\(Format.count(cell.known)) known") }
        if cell.discards > 0 { parts.append("\(Format.count(cell.discards)) discarded") }
        detail = parts.joined(separator: ", ")
    }
}

/// A check, and what came of it on all devices.
struct CheckRow {
    var name: String
    var about: String
    var counts: [Count]

    struct Count {
        var value: Int
        var text: String
    }

    static func rows(_ tally: Tally, _ plan: RunPlan) -> [CheckRow] {
        plan.checks.compactMap { name in
            tally.checks[name].map { cell in
                CheckRow(
                    name: name, about: Check(rawValue: name)?.about ?? "",
                    counts: [cell.verdicts, cell.failures, cell.known, cell.discards].map {
                        Count(value: $0, text: Format.count($0))
                    })
            }
        }
    }
}
