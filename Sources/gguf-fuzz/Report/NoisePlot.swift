import Foundation
import Fuzzing

/// How errors of a device are spread, as multiples of the noise floor: a drawing of bars, one for each power of two.
struct NoisePlot {
    var device: String
    var width = "520"
    var height = "176"
    /// The line that bars stand on.
    var base = "150"
    var bars: [Bar] = []
    var ticks: [Tick] = []
    /// Where a row fails.
    var limitX = ""
    var label: String
    var caption: String

    struct Bar {
        var x: String
        var y: String
        var barWidth: String
        var barHeight: String
        var isOver: Bool
        var title: String
    }

    struct Tick {
        var x: String
        var y: String
        var text: String
    }

    init(_ histogram: Tally.NoiseHistogram, of device: String) {
        self.device = device
        let bins = histogram.bins
        let limit = Int(log2(NoiseFloor.limit))
        // At least from a sixteenth of the floor to beyond the limit, so that devices can be compared at a glance.
        let (first, last) = (min(bins.keys.min() ?? -4, -4), max(bins.keys.max() ?? limit + 2, limit + 2))
        let step = 520 / Double(last - first + 1)
        func place(_ bin: Int) -> Double { Double(bin - first) * step }
        let most = log(1 + Double(bins.values.max() ?? 1))
        bars = (first...last).compactMap { bin in
            guard let count = bins[bin], count > 0 else { return nil }
            let size = max(3, 138 * log(1 + Double(count)) / most)
            return Bar(
                x: Self.text(place(bin) + 1), y: Self.text(150 - size), barWidth: Self.text(step - 2),
                barHeight: Self.text(size), isOver: bin >= limit,
                title: "\(Self.range(bin)): \(Format.amount(count, "verdict"))")
        }
        // As many as can be read.
        let every = max(1, Int((62 / step).rounded(.up)))
        ticks = (first...last + 1).filter { $0 % every == 0 }.map { bin in
            Tick(x: Self.text(min(max(place(bin), 20), 498)), y: "168", text: Self.power(bin))
        }
        limitX = Self.text(place(limit))
        let total = bins.values.reduce(0, +)
        func above(_ bin: Int) -> Int { bins.reduce(0) { $0 + ($1.key >= bin ? $1.value : 0) } }
        var parts = [Format.amount(total + histogram.exact, "verdict")]
        if total > 0 {
            parts.append("half of those with an error below \(Self.power(Self.quantile(bins, 0.5) + 1))")
            parts.append("99 % below \(Self.power(Self.quantile(bins, 0.99) + 1))")
        }
        parts.append("\(Format.count(above(limit))) above \(Format.rate(NoiseFloor.limit))")
        if histogram.exact > 0 { parts.append("\(Format.count(histogram.exact)) without any error") }
        caption = parts.joined(separator: ", ")
        label = "Histogram of errors of \(device) over the noise floor: \(caption)"
    }

    /// The least bin up to which there is such a part of all.
    private static func quantile(_ bins: [Int: Int], _ part: Double) -> Int {
        let total = Double(bins.values.reduce(0, +))
        var sum = 0.0
        for (bin, count) in bins.sorted(by: { $0.key < $1.key }) {
            sum += Double(count)
            if sum >= part * total { return bin }
        }
        return 0
    }

    private static func range(_ bin: Int) -> String {
        switch bin {
        case Tally.NoiseHistogram.range.lowerBound: "below \(power(bin + 1))"
        case Tally.NoiseHistogram.range.upperBound: "\(power(bin)) and above"
        default: "\(power(bin)) to \(power(bin + 1))"
        }
    }

    /// `1/4`, `16`, `2^20`
    private static func power(_ exponent: Int) -> String {
        switch exponent {
        case ..<(-10): "2^\(exponent)"
        case ..<0: "1/\(1 << -exponent)"
        case ...10: "\(1 << exponent)"
        default: "2^\(exponent)"
        }
    }

    static func text(_ value: Double) -> String { String(format: "%.1f", value) }
}
