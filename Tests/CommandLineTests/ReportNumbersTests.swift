import Foundation
import Fuzzing
import Testing

@testable import gguf_fuzz

@Suite("Numbers of a report")
struct ReportNumbersTests {
    private static func decoded<Value: Decodable>(_ text: String) throws -> Value {
        try JSONDecoder().decode(Value.self, from: Data(text.utf8))
    }

    @Test("of errors, the bars are their powers of two, and those from 16 on are over the limit")
    func noise() throws {
        let plot = NoisePlot(try Self.decoded(#"{"bins": {"-1": 3, "3": 1, "4": 1, "20": 1}, "exact": 2}"#), of: "cpu")
        #expect(plot.bars.map(\.title) == [
            "1/2 to 1: 3 verdicts", "8 to 16: 1 verdict", "16 to 32: 1 verdict", "2^20 to 2^21: 1 verdict",
        ])
        #expect(plot.bars.map(\.isOver) == [false, false, true, true])
        let places = plot.bars.compactMap { Double($0.x) }
        #expect(places == places.sorted() && places.allSatisfy { (0...520).contains($0) })
        #expect(plot.caption == "8 verdicts, half of those with an error below 1, 99 % below 2^21, 2 above 16, "
            + "2 without any error")
    }

    @Test("coverage grows from nothing to all that was seen, and what all cases have is there at once")
    func growth() throws {
        // Of four cases, all have a, two have b, one has c.
        let coverage: Coverage = try Self.decoded(
            #"{"features": ["a", "b", "c"], "counts": [4, 2, 1], "pairs": {"0 1": 2, "0 2": 1}}"#)
        let growth = CoverageReport.Growth(coverage, cases: 4)
        #expect(growth.curves.count == 2)
        for curve in growth.curves {
            let heights = curve.points.split(separator: " ").compactMap { point in
                point.split(separator: ",").last.flatMap { Double($0) }
            }
            #expect(heights.first == 150 && heights.last == 10 && heights == heights.sorted(by: >))
        }
        // One pair of two was seen once, in four cases.
        #expect(growth.caption.hasSuffix("One more case would show about 0.25 new pairs."))
    }

    @Test("times and shares read as a person says them", arguments: [
        (Format.span(3.2), "3.2 s"), (Format.span(62), "1 min 2 s"), (Format.span(28_920), "8 h 2 min"),
        (Format.share(0, of: 0), "0.0 %"), (Format.share(1, of: 3), "33.3 %"),
        (Format.share(1, of: 100_000), "0.001 %"),
        (Format.list(["a", "b"]), "a, b"), (Format.list("abcdefghi".map(String.init)), "a, b, c, d, e, f and 3 more"),
    ])
    func words(_ given: String, _ wanted: String) { #expect(given == wanted) }
}
