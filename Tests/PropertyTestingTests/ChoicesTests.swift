import PropertyTesting
import Testing

@Suite("Choices")
struct ChoicesTests {
    @Test("a stream depends on seed and stream number only")
    func streamsAreReproducible() {
        var (a, b, c) = (RandomStream(seed: 1, stream: 2), RandomStream(seed: 1, stream: 2), RandomStream(
            seed: 2, stream: 1))
        let first = (0..<8).map { _ in a.next() }
        #expect(first == (0..<8).map { _ in b.next() })
        #expect(first != (0..<8).map { _ in c.next() })
    }

    @Test("the first numbers of a seed never change")
    func goldenNumbers() {
        var stream = RandomStream(seed: 42)
        #expect((0..<3).map { _ in stream.next() } == Self.golden)
    }
    static let golden: [UInt64] = [0x85C4FF1BBB7B930E, 0xDC1F88CD42F2F8DE, 0x146991CC20256EFC]

    @Test("bounded numbers are uniform and within the bound", arguments: [1, 2, 3, 7, 1 << 33] as [UInt64])
    func boundedNumbers(_ bound: UInt64) {
        var stream = RandomStream(seed: bound)
        var upperHalf = 0
        for _ in 0..<4000 {
            let value = stream.next(below: bound)
            #expect(value < bound)
            if value >= bound - bound / 2 { upperHalf += 1 }
        }
        let expected = 4000 * Double(bound / 2) / Double(bound)
        #expect(abs(Double(upperHalf) - expected) < 250)
    }

    @Test("replaying what was made makes the same")
    func replay() {
        var random = Choices(seed: 5)
        let drawn = (0..<20).map { _ in random.integer(in: -3...9) }
        var replayed = Choices(replaying: random.made.map(\.value))
        #expect(drawn == (0..<20).map { _ in replayed.integer(in: -3...9) })
    }

    @Test("beyond the recorded end every choice is the simplest, and larger values are lowered")
    func anySequenceIsValid() {
        var choices = Choices(replaying: [99])
        #expect(choices.element(of: ["a", "b", "c"]) == "c")
        #expect(choices.element(of: ["a", "b", "c"]) == "a")
        #expect(choices.boolean() == false)
        #expect(choices.made.map(\.value) == [2, 0, 0])
    }

    @Test("a biased boolean is true as often as it says")
    func bias() {
        var choices = Choices(seed: 9)
        let hits = (0..<9000).count { _ in choices.boolean(1, in: 3) }
        #expect(abs(hits - 3000) < 200)
    }
}
