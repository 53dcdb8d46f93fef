import PropertyTesting
import Testing

@Suite("Shrinking")
struct ShrinkingTests {
    /// A recording of choices drawn at random from which `draw` makes a value that `fails`.
    private func start<Value>(
        seed: UInt64 = 1, _ draw: (inout Choices) throws -> Value, fails: (Value) -> Bool
    ) throws -> Choices.Recording {
        for stream in 0..<10_000 as Range<UInt64> {
            var choices = Choices(seed: seed, stream: stream)
            if fails(try draw(&choices)) { return choices.recording }
        }
        throw NothingFails()
    }
    private struct NothingFails: Error {}

    @Test("what is drawn element by element and what is drawn list by list shrinks to the one element that matters")
    func countedLists() throws {
        struct Layer: Equatable { var kind = 0, heads = 0, rank = 0 }
        func byLayer(_ choices: inout Choices) -> [Layer] {
            (0..<choices.integer(in: 1...40)).map { _ in
                choices.span("layer") { choices in
                    let kind = choices.integer(in: 0...3)
                    let rank = kind == 2 ? choices.integer(in: 0...9) : 0
                    return Layer(kind: kind, heads: choices.integer(in: 0...9), rank: rank)
                }
            }
        }
        func byKey(_ choices: inout Choices) -> [Layer] {
            let count = choices.integer(in: 1...40)
            func list(_ key: String, _ limit: Int) -> [Int] {
                choices.span(key) { choices in
                    // A flag before the list, as where a file may give one value for all layers.
                    _ = choices.boolean()
                    return (0..<count).map { _ in choices.integer(in: 0...limit) }
                }
            }
            let (kinds, heads, ranks) = (list("kinds", 3), list("heads", 9), list("ranks", 9))
            return (0..<count).map { Layer(kind: kinds[$0], heads: heads[$0], rank: ranks[$0]) }
        }
        let fails: ([Layer]) -> Bool = { $0.contains { $0.kind == 2 && $0.heads >= 3 && $0.rank > 0 } }
        for seed in 0..<50 as Range<UInt64> {
            for draw in [byLayer, byKey] {
                let shrunk = try #require(
                    Shrinker().shrink(start(seed: seed, draw, fails: fails), draw: draw, accepts: fails))
                #expect(shrunk.value == [Layer(kind: 2, heads: 3, rank: 1)])
                #expect(shrunk.evaluations < 120)
            }
        }
    }

    @Test("a thousand choices of which three matter cost little")
    func longSequences() throws {
        let draw: (inout Choices) -> [Int] = { choices in (0..<1000).map { _ in choices.integer(in: 0...99) } }
        let fails: ([Int]) -> Bool = { $0[100] >= 10 && $0[500] >= 20 && $0[900] >= 30 }
        let shrunk = try #require(Shrinker().shrink(start(draw, fails: fails), draw: draw, accepts: fails))
        let nonzero = shrunk.value.enumerated().filter { $0.element > 0 }.map { [$0.offset, $0.element] }
        #expect(nonzero == [[100, 10], [500, 20], [900, 30]])
        #expect(shrunk.evaluations < 150)
    }

    @Test("a feature that needs another keeps it, and only it")
    func swarms() throws {
        let draw: (inout Choices) -> [String] = { $0.swarm(of: (0..<30).map { "feature \($0)" }) }
        let fails: ([String]) -> Bool = { $0.contains("feature 3") && $0.contains("feature 17") }
        let shrunk = try #require(Shrinker().shrink(start(draw, fails: fails), draw: draw, accepts: fails))
        #expect(shrunk.value == ["feature 3", "feature 17"])
        #expect(shrunk.evaluations < 40)
    }

    @Test(
        "only simpler candidates are asked about, each once, and no more than the budget", arguments: [1, 2, 10, 1000])
    func evaluations(budget: Int) throws {
        var asked: [[Int]] = []
        let draw: (inout Choices) throws -> [Int] = { $0.list(count: 0...20) { $0.integer(in: -50...50, simplest: 0) } }
        let fails: ([Int]) -> Bool = { $0.reduce(0, +) > 40 }
        let start = try start(draw, fails: fails)
        let shrunk = try #require(
            Shrinker(budget: budget).shrink(start, draw: draw) { asked.append($0); return fails($0) })
        #expect(asked.count == shrunk.evaluations)
        #expect(asked.count <= budget)
        #expect(Set(asked).count == asked.count)
        #expect(fails(shrunk.value))
        #expect(shrunk.recording <= start)
        #expect(shrunk.isExhausted == (budget < 1000))
        if !shrunk.isExhausted { #expect(shrunk.value == [41]) }
    }

    @Test("what it finds replays to the same value, by position and by spans, and shrinks no further")
    func resultsReplay() throws {
        let draw: (inout Choices) throws -> [[Int]] =
            { $0.list(count: 0...6) { $0.list(count: 0...6) { $0.integer(in: 0...9) } } }
        let fails: ([[Int]]) -> Bool = { $0.joined().reduce(0, +) > 20 }
        let shrunk = try #require(Shrinker().shrink(start(draw, fails: fails), draw: draw, accepts: fails))
        var byPosition = Choices(replaying: shrunk.recording.values)
        var bySpans = Choices(replaying: shrunk.recording)
        #expect(try draw(&byPosition) == shrunk.value)
        #expect(try draw(&bySpans) == shrunk.value)
        let again = try #require(Shrinker().shrink(shrunk.recording, draw: draw, accepts: fails))
        #expect(again.recording == shrunk.recording)
    }

    @Test("the same start shrinks in the same way")
    func isDeterministic() throws {
        let draw: (inout Choices) throws -> [Int] = { $0.list(count: 0...20) { $0.integer(in: 0...500) } }
        let fails: ([Int]) -> Bool = { Set($0).count > 4 }
        let start = try start(draw, fails: fails)
        func asked() -> [[Int]] {
            var asked: [[Int]] = []
            _ = Shrinker().shrink(start, draw: draw) { asked.append($0); return fails($0) }
            return asked
        }
        #expect(asked() == asked())
    }

    @Test("draws that throw are no candidates, and a start that is not accepted has no result")
    func refusals() throws {
        struct Odd: Error {}
        let draw: (inout Choices) throws -> Int = {
            let number = $0.integer(in: 0...1000)
            if number % 2 == 1 { throw Odd() }
            return number
        }
        var choices = Choices(replaying: [900])
        _ = try draw(&choices)
        #expect(Shrinker().shrink(choices.recording, draw: draw) { $0 > 300 }?.value == 302)
        let none = Shrinker().shrink(choices.recording, draw: draw) { $0 > 900 }
        #expect(none == nil)
    }

    @Test("passes of the caller's own take part")
    func ownPasses() throws {
        // Only numbers with a digit sum of ten fail: no general pass steps from one to the next.
        let digits: (Int) -> Int = { String($0).compactMap(\.wholeNumberValue).reduce(0, +) }
        let draw: (inout Choices) -> Int = { $0.integer(in: 0...9999) }
        let nines = ShrinkPass("nine less") { search in
            while search.best.choices[0].value >= 9,
                search.attempt(search.best.setting(0, to: search.best.choices[0].value - 9)) {}
        }
        var choices = Choices(replaying: [64])
        _ = draw(&choices)
        #expect(Shrinker().shrink(choices.recording, draw: draw) { digits($0) == 10 }?.value == 64)
        let shrinker = Shrinker(passes: ShrinkPass.all + [nines])
        #expect(shrinker.shrink(choices.recording, draw: draw) { digits($0) == 10 }?.value == 19)
    }

    @Test("the largest choices shrink like any others")
    func widestIntegers() throws {
        let draw: (inout Choices) throws -> Int = { $0.integer(in: (.min + 1)...Int.max, simplest: 0) }
        var choices = Choices(replaying: [.max])
        _ = try draw(&choices)
        #expect(Shrinker().shrink(choices.recording, draw: draw) { $0 < .min + 1000 }?.value == .min + 999)
    }
}
