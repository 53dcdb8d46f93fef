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
        Transcript(results: [StepResult(logits: Rows(keys: [0], width: row.count, elements: row))], margins: margins)
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

    @Test("choices within the noise of their margins are ties")
    func ties() throws {
        func hasTies(_ margins: [Double], noise: Double) throws -> Bool {
            try floor(transcript([1], margins: margins)) { seed in
                transcript([1], margins: margins.map { $0 + (seed == 1 ? noise : -noise) })
            }.hasTies
        }
        #expect(try !hasTies([0.5, 0.1], noise: 1e-7))
        #expect(try hasTies([0.5, 1e-6], noise: 1e-7))
        #expect(try hasTies([0], noise: 0))
        #expect(try !hasTies([], noise: 0))
        // Where rounding makes other choices, there are more or fewer of them.
        #expect(try floor(transcript([1], margins: [1])) { _ in transcript([1], margins: [1, 1]) }.hasTies)
        // No choice at all where nothing was left over.
        #expect(try !hasTies([.infinity], noise: 0))
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
