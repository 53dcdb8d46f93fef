import PropertyTesting

/// A problem of the shrinking challenge: values to draw, a property that some of them fail, and the smallest that does.
struct Challenge<Value: Equatable> {
    var name: String
    var smallest: Value
    /// The most evaluations on average: what Hypothesis reports for bound5, large_union_list, lengthlist, reverse and
    /// calculator. It reports no others: for distinct and nestedlists a limit of our own, else what jqwik reports.
    var evaluations: Double
    var draw: (inout Choices) throws -> Value
    var fails: (Value) -> Bool

    struct Outcome {
        var results: [Value] = []
        var evaluations: [Int] = []

        var mean: Double { Double(evaluations.reduce(0, +)) / Double(evaluations.count) }
    }

    /// Shrinks from `starts` failing values drawn at random.
    func run(starts: Int = 100) throws -> Outcome {
        var outcome = Outcome()
        var stream: UInt64 = 0
        while outcome.results.count < starts {
            defer { stream += 1 }
            var choices = Choices(seed: 2026, stream: stream)
            guard fails(try draw(&choices)) else { continue }
            guard let shrunk = Shrinker().shrink(choices.recording, draw: draw, accepts: fails) else { throw Lost() }
            outcome.results.append(shrunk.value)
            outcome.evaluations.append(shrunk.evaluations)
        }
        return outcome
    }

    /// A start that failed does not fail when replayed.
    struct Lost: Error {}
}

/// As wide as the integers of most frameworks.
let int32 = Int(Int32.min)...Int(Int32.max)

extension Choices {
    mutating func int32s(count: ClosedRange<Int> = 0...20) -> [Int] {
        list(count: count) { $0.integer(in: int32, simplest: 0) }
    }
}
