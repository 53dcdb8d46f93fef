import PropertyTesting
import Testing

@Suite("Recovering the choices of a value")
struct RecoveringTests {
    /// What the draws of a session script, a recipe or a model are made of.
    struct Drawn: Equatable {
        var element: String
        var flag: Bool
        var uniform: Int
        var signed: Int
        var real: Double
        var subset: [Int]
        var swarm: [String]
        var lists: [[Int]]

        init(_ choices: inout Choices, like target: Drawn? = nil) throws {
            element = try choices.element(of: ["a", "b", "c"], like: target?.element)
            flag = choices.boolean(1, in: 3, like: target?.flag)
            uniform = try choices.integer(in: 3...90, like: target?.uniform)
            signed = try choices.integer(in: -7...400, simplest: 2, like: target?.signed)
            real = try choices.real(in: -3...10, like: target?.real)
            subset = try choices.subset(of: [0, 1, 2, 3], like: target?.subset)
            swarm = try choices.swarm(of: ["x", "y", "z"], like: target?.swarm)
            lists = try choices.list(count: 1...4, like: target?.lists) { choices, list in
                try choices.list(count: 0...3, like: list) { try $0.integer(in: 0...9, like: $1) }
            }
        }
    }

    /// The choices that draw a value, whatever they would have been.
    private func recovered<Value>(
        _ target: Value, _ draw: (inout Choices, Value?) throws -> Value
    ) throws -> Choices.Recording {
        var choices = Choices(replaying: [])
        _ = try draw(&choices, target)
        return choices.recording
    }

    @Test("drawing like a drawn value makes it, by choices that replay to it and are no less simple than its own")
    func everyDraw() throws {
        for seed in 0..<500 as Range<UInt64> {
            var choices = Choices(seed: seed)
            let drawn = try Drawn(&choices)
            let recording = try recovered(drawn) { try Drawn(&$0, like: $1) }
            #expect(recording <= choices.recording)
            #expect(recording.spans == choices.recording.spans)
            var (bySpans, byPosition) = (Choices(replaying: recording), Choices(replaying: recording.values))
            #expect(try Drawn(&bySpans) == drawn)
            #expect(try Drawn(&byPosition) == drawn)
        }
    }

    @Test("a target counts whatever the source says, and what follows it replays its own choice")
    func everySource() throws {
        var made = Choices(replaying: [1, 2, 3])
        func draw(_ choices: inout Choices, second: Int? = nil) throws -> [Int] {
            try [nil, second, nil].map { try choices.integer(in: 0...9, like: $0) }
        }
        #expect(try draw(&made) == [1, 2, 3])
        var (bySpans, byPosition) = (Choices(replaying: made.recording), Choices(replaying: [1, 2, 3]))
        #expect(try draw(&bySpans, second: 7) == [1, 7, 3])
        #expect(try draw(&byPosition, second: 7) == [1, 7, 3])
        for seed in 0..<20 as Range<UInt64> {
            var random = Choices(seed: seed)
            #expect(try draw(&random, second: 7)[1] == 7)
        }
    }

    @Test("every integer of a range has the choice that draws it", arguments: [-2...2, -1...4, -4...1, 5...5])
    func integers(range: ClosedRange<Int>) throws {
        for simplest in range {
            for value in range {
                let recording = try recovered(value) { try $0.integer(in: range, simplest: simplest, like: $1) }
                var choices = Choices(replaying: recording)
                #expect(choices.integer(in: range, simplest: simplest) == value)
            }
        }
        let widest = (Int.min + 1)...Int.max
        for value in [widest.lowerBound, -1, 0, 1, widest.upperBound] {
            let recording = try recovered(value) { try $0.integer(in: widest, simplest: 5, like: $1) }
            var choices = Choices(replaying: recording)
            #expect(choices.integer(in: widest, simplest: 5) == value)
        }
    }

    @Test(
        "every real number that is drawn is recovered",
        arguments: [(-3...10, 0.1), (0...1, 0), (-1e9...1e6, 1234.5678), (0.3...0.7, 0.7), (-1e-3...1e15, 0)])
    func reals(range: ClosedRange<Double>, simplest: Double) throws {
        for seed in 0..<500 as Range<UInt64> {
            var choices = Choices(seed: seed)
            let drawn = choices.real(in: range, simplest: simplest)
            let recording = try recovered(drawn) { try $0.real(in: range, simplest: simplest, like: $1) }
            var replayed = Choices(replaying: recording)
            #expect(replayed.real(in: range, simplest: simplest) == drawn)
        }
    }

    @Test("a target that no choices draw is refused by its name")
    func unreachable() throws {
        typealias Draw = (inout Choices) throws -> Void
        let draws: [(String, Draw)] = [
            ("9", { _ = try $0.choose(below: 9, like: 9) }),
            ("d", { _ = try $0.element(of: ["a", "b"], like: "d") }),
            ("10", { _ = try $0.integer(in: 0...9, like: 10) }),
            ("-1", { _ = try $0.integer(in: 0...9, simplest: 5, like: -1) }),
            ("1.5", { _ = try $0.real(in: 0...1, like: 1.5) }),
            ("nan", { _ = try $0.real(in: 0...1, like: .nan) }),
            ("1e-30", { _ = try $0.real(in: 0...1, like: 1e-30) }),
            ("[2, 1]", { _ = try $0.subset(of: [1, 2], like: [2, 1]) }),
            ("[1, 1]", { _ = try $0.swarm(of: [1, 2], like: [1, 1]) }),
            ("[1, 2]", { _ = try $0.list(count: 0...1, like: [1, 2]) { try $0.integer(in: 0...9, like: $1) } }),
            ("3", { _ = try $0.element(of: [9], or: .integers(in: 4...5), like: 3) }),
            ("-1.0", { _ = try $0.element(of: [9], or: .numbers(in: 0...5), like: -1) }),
        ]
        for (name, draw) in draws {
            var choices = Choices(seed: 1)
            #expect(throws: Unreachable(name)) { try draw(&choices) }
        }
    }

    // MARK: Escapes

    private func size(_ choices: inout Choices, like target: Int? = nil) throws -> Int {
        try choices.element(of: [32, 64, 33], or: .integers(in: 1...100_000), like: target)
    }

    @Test("escapes are recovered and replayed, but never drawn, and change nothing of what is")
    func escapes() throws {
        for target in [32, 33, 1, 7168, 100_000] {
            let recording = try recovered(target) { try size(&$0, like: $1) }
            var (bySpans, byPosition) = (Choices(replaying: recording), Choices(replaying: recording.values))
            #expect(try size(&bySpans) == target)
            #expect(try size(&byPosition) == target)
            #expect(recording.choices[0].isEscape == ![32, 64, 33].contains(target))
        }
        for number in [0, 1, 0.1, 1e-38, 3.5e10, 5e10] as [Float] {
            func real(_ choices: inout Choices, like target: Float? = nil) throws -> Float {
                try choices.element(of: [1, 2], or: .numbers(in: 0...5e10), like: target)
            }
            let recording = try recovered(number) { try real(&$0, like: $1) }
            var replayed = Choices(replaying: recording)
            #expect(try real(&replayed) == number)
        }
        var (with, without) = (Choices(seed: 8), Choices(seed: 8))
        for _ in 0..<100 {
            #expect(with.escape() == false)
            #expect(try size(&with) == without.element(of: [32, 64, 33]))
        }
    }

    @Test("a value too large for a choice is lowered to the largest that is drawn, an escape of another included")
    func escapesOfOthers() throws {
        for value in [3, 100, 1 << 40] as [UInt64] {
            var choices = Choices(replaying: [value])
            #expect(try size(&choices) == 33)
        }
        var others = Choices(replaying: try recovered(7168) { try size(&$0, like: $1) })
        #expect(others.integer(in: 0...9) == 9)
    }

    @Test("escapes shrink into the domain where they can, and else to the least that fails")
    func shrinking() throws {
        for (limit, expected) in [(0, 32), (33, 64), (64, 65), (1000, 1001)] {
            let start = try recovered(7168) { try size(&$0, like: $1) }
            let shrunk = try #require(Shrinker().shrink(start) { try size(&$0) } accepts: { $0 > limit })
            #expect(shrunk.value == expected)
            #expect(shrunk.evaluations < 40)
        }
        // Two that must stay alike go down together.
        let draw: (inout Choices, [Int]?) throws -> [Int] = { choices, target in
            try (0..<2).map { try size(&choices, like: target?[$0]) }
        }
        let shrunk = try #require(Shrinker().shrink(try recovered([4096, 4096], draw)) { try draw(&$0, nil) } accepts: {
            $0[0] == $0[1] && $0[0] > 40
        })
        #expect(shrunk.value == [64, 64])
    }
}
