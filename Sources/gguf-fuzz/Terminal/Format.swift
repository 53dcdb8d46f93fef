import Foundation

/// Numbers as a person reads them.
enum Format {
    /// `0`, `3.1e-14`, `not finite`
    static func error(_ value: Double) -> String {
        if value == 0 { return "0" }
        return value.isFinite ? String(format: "%.1e", value) : "not finite"
    }

    /// `0.42 ms`, `12 ms`, `3.4 s`
    static func duration(_ duration: Duration) -> String {
        let seconds = duration.seconds
        if seconds >= 1 { return String(format: "%.1f s", seconds) }
        return String(format: seconds >= 0.01 ? "%.0f ms" : seconds >= 0.001 ? "%.1f ms" : "%.2f ms", seconds * 1000)
    }

    /// `42 s`, `12 min 30 s`, `8 h 2 min`: of what may take long.
    static func span(_ seconds: Double) -> String {
        guard seconds >= 60 else { return duration(.seconds(max(0, seconds))) }
        let total = Int(seconds.rounded())
        let (hours, minutes, rest) = (total / 3600, total / 60 % 60, total % 60)
        return hours > 0 ? "\(count(hours)) h \(minutes) min" : "\(minutes) min \(rest) s"
    }

    /// `0.6 %`, `0.012 %`: of what is a part of something.
    static func share(_ part: Int, of whole: Int) -> String {
        let percentage = 100 * Double(part) / Double(max(1, whole))
        return String(format: percentage == 0 || percentage >= 0.1 ? "%.1f %%" : "%.2g %%", percentage)
    }

    /// `a, b, c`; of many, the first and how many more.
    static func list(_ names: [String]) -> String {
        names.count <= 8 ? names.joined(separator: ", ")
            : names.prefix(6).joined(separator: ", ") + " and \(names.count - 6) more"
    }

    /// `3.1`, `310`
    static func rate(_ value: Double) -> String { String(format: value < 10 ? "%.1f" : "%.0f", value) }

    /// `0.04`, `2.1`, `310`: as a multiple of the noise floor.
    static func multiple(_ value: Double) -> String {
        value.isFinite ? String(format: value < 1 ? "%.2f" : value < 100 ? "%.1f" : "%.3g", value) : "not finite"
    }

    /// `1 layer`, `12 layers`
    static func amount(_ count: Int, _ noun: String) -> String {
        "\(Self.count(count)) \(noun)\(count == 1 ? "" : "s")"
    }

    /// `12,345`
    static func count(_ value: Int) -> String {
        var digits = String(abs(value)), groups: [Substring] = []
        while digits.count > 3 {
            groups.insert(digits.suffix(3), at: 0)
            digits = String(digits.dropLast(3))
        }
        return (value < 0 ? "-" : "") + ([Substring(digits)] + groups).joined(separator: ",")
    }

    /// `512 B`, `1.5 KiB`, `7.1 GiB`
    static func bytes(_ count: Int) -> String { bytes(Double(count)) }

    /// Of sizes that metadata from outside asks for, which no integer may hold.
    static func bytes(_ count: Double) -> String {
        var value = count, unit = "B"
        for next in ["KiB", "MiB", "GiB", "TiB"] where value >= 1024 { (value, unit) = (value / 1024, next) }
        return String(format: unit == "B" ? "%.0f %@" : "%.1f %@", value, unit)
    }
}

extension Duration {
    var seconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds) * 1e-18
    }
}

extension String {
    func padded(to width: Int, alignsRight: Bool = false) -> String {
        let padding = String(repeating: " ", count: max(0, width - count))
        return alignsRight ? padding + self : self + padding
    }
}
