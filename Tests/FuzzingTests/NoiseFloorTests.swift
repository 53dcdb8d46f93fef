import Devices
import Engines
import Inference
import Testing

@testable import Fuzzing

@Suite("Noise floor")
struct NoiseFloorTests {
    private let single = Precision(storage: .float32, accumulation: .float32)
    private let script = Script(placement: Placement("reference"), steps: [.process(Batch([1]))])

    private func transcript(_ row: [Double], margins: [Double] = []) -> Transcript {
        Transcript(results: [StepResult(logits: Rows(keys: [0], width: row.count, elements: row))],
            decisions: margins.map { Self.decision($0) })
    }

    /// One of two candidates.
    private static func decision(_ margin: Double) -> Decision {
        Decision(taken: [0], least: [.init(index: 0, score: margin)], greatest: [.init(index: 1, score: 0)])
    }

    /// A floor of two samples.
    /// - Parameter sample: what the reference gives with rounding of this seed.
    private func floor(_ exact: Transcript, _ sample: (UInt64) -> Transcript) throws -> NoiseFloor {
        let floor = NoiseFloor(script, exact: exact, precision: single)
        for _ in 0..<2 {
            try floor.addSample { script in
                guard let rounding = script.options.rounding, rounding.precision == single else {
                    Issue.record("a sample that is not rounded")
                    return exact
                }
                return sample(rounding.seed)
            }
        }
        return floor
    }

    @Test("is the largest error of the samples, of which there are as many as an error calls for")
    func samples() throws {
        let floor = NoiseFloor(script, exact: transcript([3, 4]), precision: single)
        func addSample() throws {
            try floor.addSample { transcript([3, 4 + Double($0.options.rounding?.seed ?? 0) * 0.01]) }
        }
        // None for what is below a rounding, or where nothing differs.
        #expect(!floor.needsSample(for: []) && !floor.needsSample(for: [0.5, 1]) && floor.needsSample(for: [0, 1.1]))
        try addSample()
        #expect(abs(floor.floor(step: 0, key: 0) - 0.01) < 1e-12)
        #expect(!floor.needsSample(for: [NoiseFloor.limit / 2]) && floor.needsSample(for: [NoiseFloor.limit]))
        while floor.needsSample(for: [NoiseFloor.limit]) { try addSample() }
        #expect(abs(floor.floor(step: 0, key: 0) - 0.16) < 1e-12)
    }

    @Test("of a device in float64 is sampled in float32, and twice that by the ratio of their roundings")
    func double() throws {
        let device = Precision(storage: .float64, accumulation: .float64)
        let floor = NoiseFloor(script, exact: transcript([3, 4]), precision: device)
        try floor.addSample { script in
            #expect(script.options.rounding?.precision == single)
            return transcript([3, 4.01])
        }
        #expect(abs(floor.floor(step: 0, key: 0) - 2 * 0x1p-29 * 0.01) < 1e-20)
    }

    @Test("is at least one rounding of the row")
    func rounding() throws {
        let floor = try floor(transcript([3, 4])) { _ in transcript([3, 4]) }
        #expect(floor.floor(step: 0, key: 0) == 5 * 0x1p-24)
        #expect(floor.floor(step: 0, key: 7) == 0)
    }

    @Test("is infinite where a sample gives no such row, or overflows")
    func overflow() throws {
        #expect(try floor(transcript([1])) { _ in Transcript() }.floor(step: 0, key: 0) == .infinity)
        #expect(try floor(transcript([1])) { _ in transcript([.nan]) }.floor(step: 0, key: 0) == .infinity)
    }

    @Test("decisions whose margins are within the noise of these very margins are narrow")
    func narrowDecisions() throws {
        func narrow(_ margins: [Double], noises: [Double]) throws -> [Int] {
            try floor(transcript([1], margins: margins)) { seed in
                transcript([1], margins: zip(margins, noises).map { $0 + (seed == 1 ? $1 : -$1) })
            }.narrowDecisions().map(\.index)
        }
        #expect(try narrow([0.5, 0.1], noises: [1e-7, 1e-7]).isEmpty)
        #expect(try narrow([0.5, 1e-6], noises: [1e-7, 1e-7]) == [1])
        // The noise of another decision says nothing of this one.
        #expect(try narrow([0.5, 1e-6], noises: [0.1, 1e-9]) == [0])
        #expect(try narrow([0], noises: [0]) == [0])
        #expect(try narrow([], noises: []).isEmpty)
        let later = try floor(transcript([1], margins: [0, 0])) { _ in transcript([1], margins: [0, 0]) }
        #expect(later.narrowDecisions(from: 1).map(\.index) == [1])
    }

    @Test("a narrow decision may take whatever is as good, the likeliest first")
    func alternatives() throws {
        let decision = Decision(
            taken: [2, 5], least: [.init(index: 5, score: 1), .init(index: 2, score: 1.5)],
            greatest: [.init(index: 0, score: 1), .init(index: 3, score: 0.9), .init(index: 1, score: 0)])
        func transcript(_ shift: Double) -> Transcript {
            var other = decision
            other.least[0].score += shift
            return Transcript(results: [StepResult()], decisions: [other])
        }
        let narrow = try floor(transcript(0)) { transcript($0 == 1 ? 0.01 : -0.01) }.narrowDecisions()
        #expect(narrow.map(\.alternatives) == [[[0, 2], [2, 3]]])
    }

    @Test("of scores that rounding makes equal, what the rounded run takes may be several others")
    func equalInRounding() throws {
        func transcript(_ scores: [Double]) -> Transcript {
            let candidates = scores.enumerated().map { Decision.Candidate(index: $0.offset, score: $0.element) }
            return Transcript(
                results: [StepResult()],
                decisions: [Decision(
                    taken: [2, 3], least: [candidates[3], candidates[2]], greatest: Array(candidates[..<2]))])
        }
        let narrow = try floor(
            transcript([1e-60, 1e-61, 1e-49, 1e-50])) { _ in transcript([0, 0, 0, 0]) }.narrowDecisions()
        #expect(narrow.map(\.alternatives.first) == [[0, 1]])
    }

    @Test("samples take what the exact run takes at every decision")
    func prescribed() throws {
        let floor = NoiseFloor(script, exact: transcript([1], margins: [1, 2]), precision: single)
        try floor.addSample { script in
            #expect(script.options.decisions == [[0], [0]])
            return transcript([1], margins: [1, 2])
        }
    }

    @Test("distances count what is finite, and see what is not")
    func distances() {
        #expect(distance([1, 2], [4, 6]) == 5)
        #expect(distance([1], [1, 2]) == .infinity)
        #expect(distance([.nan, 1], [.nan, 1]) == 0)
        #expect(distance([.infinity, 1], [.infinity, 1]) == 0)
        #expect(distance([.nan, 1], [0, 1]) == .infinity)
        #expect(distance([.infinity], [-.infinity]) == .infinity)
        #expect(distance([.infinity], [1]) == .infinity)
    }
}
