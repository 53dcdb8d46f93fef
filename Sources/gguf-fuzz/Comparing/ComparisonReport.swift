/// The table of architectures by devices, a line as soon as an architecture is done.
struct ComparisonReport {
    private let seed: UInt64
    private let architectures: [String]
    private let devices: [String]
    private let nameWidth: Int
    private let errorWidth = 10, timeWidth = 7

    private struct Cell {
        var cases = 0
        var duration = Duration.zero
        var error = 0.0
        var failures = 0
        var hasFallbacks = false
    }
    /// The architecture that is being added, and its cells.
    private var current: String?
    private var cells: [Cell]
    private var cases = 0
    private var runs = 0
    private(set) var failures = 0
    private var failureLines: [String] = []
    private var fallbackLines: [String] = []

    /// - Parameter devices: the reference first.
    init(seed: UInt64, architectures: [String], devices: [String]) {
        self.seed = seed
        self.architectures = architectures
        self.devices = devices
        nameWidth = (architectures.map(\.count) + ["architecture".count]).max() ?? 0
        cells = Array(repeating: Cell(), count: devices.count)
    }

    func printTitles() {
        let columns = devices.enumerated().map { index, device in
            index == 0 ? device.padded(to: max(device.count, timeWidth), alignsRight: true)
                : device.padded(to: errorWidth + 2 + timeWidth, alignsRight: true)
        }
        Terminal.line(([" ".padded(to: nameWidth)] + columns).joined(separator: "   "))
        let units = devices.indices.map { index in
            index == 0 ? "time".padded(to: max(devices[0].count, timeWidth), alignsRight: true)
                : "NMSE".padded(to: errorWidth, alignsRight: true) + "  " + "time".padded(to: timeWidth, alignsRight: true)
        }
        Terminal.line((["architecture".padded(to: nameWidth)] + units).joined(separator: "   "))
    }

    /// Adds a case; those of one architecture come one after the other.
    mutating func add(_ result: CaseResult, isLast: Bool) {
        cases += 1
        current = result.architecture
        for (column, measurement) in result.measurements.enumerated() {
            if column > 0 { runs += 1 }
            cells[column].cases += 1
            cells[column].duration += measurement.duration
            cells[column].error = max(cells[column].error, measurement.error)
            if let failure = measurement.failure {
                cells[column].failures += 1
                failures += 1
                let arguments = column == 0 ? "" : " --device \(measurement.device)"
                failureLines.append(
                    "\(result.architecture) on \(measurement.device): \(failure)\n    gguf-fuzz compare --arch \(result.architecture) --seed \(seed) --case \(result.index)\(arguments)")
            }
            for fallback in measurement.fallbacks {
                cells[column].hasFallbacks = true
                let line = "\(result.architecture): \(fallback)"
                if !fallbackLines.contains(line) { fallbackLines.append(line) }
            }
        }
        if isLast { printRow() }
    }

    private mutating func printRow() {
        guard let architecture = current else { return }
        let texts = cells.enumerated().map { index, cell in
            let time = cell.cases == 0 ? "-" : Format.duration(cell.duration / cell.cases)
            if index == 0 {
                let text = cell.failures > 0 ? "FAILED" : time
                return text.padded(to: max(devices[0].count, timeWidth), alignsRight: true)
            }
            let mark = cell.hasFallbacks ? "*" : ""
            let error = cell.cases == 0 ? "-" : (cell.failures > 0 ? "FAILED" : Format.error(cell.error)) + mark
            return error.padded(to: errorWidth, alignsRight: true) + "  " + time.padded(to: timeWidth, alignsRight: true)
        }
        Terminal.line(([architecture.padded(to: nameWidth)] + texts).joined(separator: "   "))
        cells = Array(repeating: Cell(), count: devices.count)
        current = nil
    }

    mutating func printSummary(absences: [String], wasInterrupted: Bool, duration: Duration) {
        printRow()
        if !fallbackLines.isEmpty { Terminal.line("\n* ran partly on cpu:") }
        for line in fallbackLines { Terminal.line("  \(line)") }
        for absence in absences { Terminal.line("not found: \(absence)") }
        if !failureLines.isEmpty { Terminal.line("\nfailed:") }
        for line in failureLines { Terminal.line("  \(line)") }
        Terminal.line(
            "\n\(wasInterrupted ? "interrupted: " : "")\(cases) cases of seed \(seed), \(runs) compared with \(devices[0]), \(failures) failed, \(Format.duration(duration))")
    }
}
