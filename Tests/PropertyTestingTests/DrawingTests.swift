import PropertyTesting
import Testing

@Suite("Drawing")
struct DrawingTests {
    @Test("integers alternate around the simplest, then run to the end that is further away")
    func integerOrder() {
        func values(_ range: ClosedRange<Int>, simplest: Int) -> [Int] {
            (0..<UInt64(range.count)).map { index in
                var choices = Choices(replaying: [index])
                return choices.integer(in: range, simplest: simplest)
            }
        }
        #expect(values(-2...2, simplest: 0) == [0, 1, -1, 2, -2])
        #expect(values(-1...4, simplest: 0) == [0, 1, -1, 2, 3, 4])
        #expect(values(-4...1, simplest: 0) == [0, 1, -1, -2, -3, -4])
        #expect(values(5...8, simplest: 5) == [5, 6, 7, 8])
        #expect(values(5...8, simplest: 8) == [8, 7, 6, 5])
        #expect(values(7...7, simplest: 7) == [7])
    }

    @Test("integers of the widest range keep to it, and those near the simplest are common")
    func wideIntegers() {
        var choices = Choices(seed: 3)
        let range = (Int.min + 1)...Int.max
        let drawn = (0..<6500).map { _ in choices.integer(in: range, simplest: 0) }
        #expect(drawn.allSatisfy { range.contains($0) })
        #expect((100...600).contains(drawn.count { $0.magnitude < 4 }))
        #expect((100...600).contains(drawn.count { $0.magnitude > 1 << 60 }))
    }

    @Test("lists have every length of their range, and keep to it whatever is replayed")
    func lists() {
        func list(_ choices: inout Choices) -> [Int] { choices.list(count: 2...4) { $0.integer(in: 0...9) } }
        var choices = Choices(seed: 1)
        #expect(Set((0..<100).map { _ in list(&choices).count }) == [2, 3, 4])
        var (none, many) = (Choices(replaying: []), Choices(replaying: Array(repeating: 9, count: 50)))
        #expect(list(&none) == [0, 0])
        #expect(list(&many) == [9, 9, 9, 9])
    }

    @Test("cutting any element out of a list leaves the others, its shortest included")
    func cutLists() {
        func list(_ choices: inout Choices) -> [Int] { choices.list(count: 1...5) { $0.integer(in: 0...9) } }
        // A flag before each element, and one at the end.
        var whole = Choices(replaying: [1, 7, 1, 8, 1, 9, 0])
        #expect(list(&whole) == [7, 8, 9])
        for (start, left) in [(0, [8, 9]), (2, [7, 9]), (4, [7, 8])] {
            var cut = Choices(replaying: whole.recording.removing(start..<start + 2))
            #expect(list(&cut) == left)
        }
    }

    @Test("a swarm has none, few, many and all of its features; replayed, it has what it had")
    func swarms() {
        let features = Array(0..<10)
        var counts: [Int: Int] = [:]
        for stream in 0..<500 as Range<UInt64> {
            var choices = Choices(seed: 1, stream: stream)
            let swarm = choices.swarm(of: features)
            counts[swarm.count, default: 0] += 1
            var replayed = Choices(replaying: choices.recording)
            #expect(replayed.swarm(of: features) == swarm)
        }
        #expect(counts.keys.count == 11)
        #expect(counts[0, default: 0] > 50 && counts[10, default: 0] > 50)
    }

    @Test("real numbers keep to their range; whole distances from the simplest come first, then halves and quarters")
    func reals() {
        func real(_ values: [UInt64]) -> Double {
            var choices = Choices(replaying: values)
            return choices.real(in: -3...10, simplest: 0.5)
        }
        #expect(real([]) == 0.5)
        #expect([[1], [2], [0, 1], [0, 2], [0, 3]].map { real($0) } == [1.5, -0.5, 1, 0.75, 1.25])
        var choices = Choices(seed: 4)
        let drawn = (0..<1000).map { _ in choices.real(in: -0.25...1) }
        #expect(drawn.allSatisfy { (-0.25...1).contains($0) })
        #expect((300...800).contains(drawn.count { $0 == $0.rounded() }))
        #expect(Set(drawn).count > 300)
    }

    @Test("spans nest, and name what was drawn in them")
    func spans() {
        var choices = Choices(replaying: [1, 2, 3])
        choices.span("outer") { choices in
            _ = choices.choose(below: 9)
            choices.span("inner") { _ = $0.choose(below: 9) }
        }
        choices.beginSpan("next")
        _ = choices.choose(below: 9)
        choices.endSpan()
        #expect(choices.spans.map(\.label) == ["outer", "inner", "next"])
        #expect(choices.spans.map(\.range) == [0..<2, 1..<2, 2..<3])
        #expect(choices.spans.map(\.depth) == [0, 1, 0])
    }

    /// Keys in spans of their own, one of which draws as many values as the first says.
    private func keys(_ choices: inout Choices) -> [Int] {
        let count = choices.span("count") { $0.integer(in: 0...9) }
        let list = choices.span("list") { choices in (0..<count).map { _ in choices.integer(in: 0...9) } }
        return [count] + list + [choices.span("last") { $0.integer(in: 0...9) }]
    }

    @Test("replayed by spans, a count that changes leaves what comes after the counted as it was")
    func replayBySpans() {
        var drawn = Choices(replaying: [3, 4, 5, 6, 7])
        #expect(keys(&drawn) == [3, 4, 5, 6, 7])
        func replayed(_ recording: Choices.Recording) -> [Int] {
            var choices = Choices(replaying: recording)
            return keys(&choices)
        }
        #expect(replayed(drawn.recording) == [3, 4, 5, 6, 7])
        #expect(replayed(drawn.recording.setting(0, to: 1)) == [1, 4, 7])
        #expect(replayed(drawn.recording.setting(0, to: 5)) == [5, 4, 5, 6, 0, 0, 7])
        #expect(replayed(drawn.recording.removing(1..<2).setting(0, to: 2)) == [2, 5, 6, 7])
        var byPosition = Choices(replaying: drawn.recording.setting(0, to: 1).values)
        #expect(keys(&byPosition) == [1, 4, 5])
    }

    @Test("an inner span takes the place of an outer one, whatever was around it")
    func replacing() {
        /// The values along a path of spans within each other, and one after it.
        func path(_ choices: inout Choices, depth: Int = 0) -> [Int] {
            choices.span("node") { choices in
                let value = choices.integer(in: 0...9)
                return value == 0 ? [] : [value] + path(&choices, depth: depth + 1) + [choices.integer(in: 0...9)]
            }
        }
        var drawn = Choices(replaying: [1, 2, 3, 0, 7, 8, 9])
        #expect(path(&drawn) == [1, 2, 3, 7, 8, 9])
        var replaced = Choices(replaying: drawn.recording.replacing(0, by: 2))
        #expect(path(&replaced) == [3, 7])
        #expect(replaced.recording == drawn.recording.replacing(0, by: 2))
    }

    @Test("simpler is shorter, then smaller where it differs first")
    func shortlex() {
        func recording(_ values: [UInt64]) -> Choices.Recording {
            var choices = Choices(replaying: values)
            for _ in values { _ = choices.choose(below: 10) }
            return choices.recording
        }
        let ascending = [[], [0], [9], [0, 0], [0, 1], [1, 0], [0, 0, 0]].map { recording($0) }
        #expect(ascending.shuffled().sorted() == ascending)
    }
}
