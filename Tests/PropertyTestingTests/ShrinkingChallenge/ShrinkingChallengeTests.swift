import PropertyTesting
import Testing

/// The problems of the public shrinking challenge (github.com/jlink/shrinking-challenge).
@Suite("Shrinking challenge")
struct ShrinkingChallengeTests {
    private func check<Value>(_ challenge: Challenge<Value>) throws {
        let outcome = try challenge.run()
        print("\(challenge.name): \(outcome.mean) evaluations on average, at most \(challenge.evaluations) wanted")
        let others = outcome.results.filter { $0 != challenge.smallest }
        #expect(others.isEmpty, "\(others.count) starts do not reach \(challenge.smallest)")
        #expect(outcome.mean <= challenge.evaluations)
    }

    @Test("bound5: five lists whose sum overflows")
    func bound5() throws {
        try check(Challenge(name: "bound5", smallest: [[], [], [], [-1], [-32768]], evaluations: 137) { choices in
            (0..<5).map { _ in choices.list(count: 0...1) { $0.integer(in: -32768...32767, simplest: 0) } }
        } fails: { lists in
            lists.allSatisfy { $0.reduce(0, +) < 256 }
                && lists.joined().reduce(Int16(0)) { $0 &+ Int16($1) } >= 5 * 256
        })
    }

    @Test("large union list: five distinct integers, in any lists")
    func largeUnionList() throws {
        try check(Challenge(name: "large_union_list", smallest: [[0, 1, -1, 2, -2]], evaluations: 341) { choices in
            choices.list(count: 0...10) { $0.int32s(count: 0...10) }
        } fails: { Set($0.joined()).count > 4 })
    }

    @Test("lengthlist: a length, then as many integers")
    func lengthList() throws {
        try check(Challenge(name: "lengthlist", smallest: [900], evaluations: 85) { choices in
            (0..<choices.integer(in: 1...100)).map { _ in choices.integer(in: 0...1000) }
        } fails: { $0.contains { $0 >= 900 } })
    }

    @Test("reverse: a list that is not its reverse")
    func reverse() throws {
        try check(Challenge(
            name: "reverse", smallest: [0, 1],
            evaluations: 46) { $0.int32s(count: 0...10) } fails: { $0 != $0.reversed() })
    }

    @Test("calculator: a division by what evaluates to zero")
    func calculator() throws {
        try check(Challenge(
            name: "calculator", smallest: .quotient(.number(0), .sum(.number(0), .number(0))), evaluations: 341
        ) {
            Expression(&$0)
        } fails: { expression in
            !expression.dividesByLiteralZero && (try? expression.value()) == nil
        })
    }

    @Test("coupling: elements that point at each other")
    func coupling() throws {
        try check(Challenge(name: "coupling", smallest: [1, 0], evaluations: 141) { choices in
            choices.list(count: 0...10) { $0.integer(in: 0...10) }
        } fails: { list in
            list.allSatisfy { $0 < list.count } && list.indices.contains { list[$0] != $0 && list[list[$0]] == $0 }
        })
    }

    @Test("deletion: an element that is there twice, deleted once")
    func deletion() throws {
        try check(Challenge(name: "deletion", smallest: [[0, 0], [0]], evaluations: 133) { choices in
            [choices.int32s(), [choices.integer(in: 0...10)]]
        } fails: { drawn in
            var list = drawn[0]
            let index = drawn[1][0]
            guard index < list.count, let first = list.firstIndex(of: list[index]) else { return false }
            return list.remove(at: first) == drawn[0][index] && list.contains(drawn[0][index])
        })
    }

    @Test(
        "difference: two numbers that are equal, near, or one apart",
        arguments: [("zero", 0...0, 10, 386.0), ("small", 1...4, 6, 296), ("one", 1...1, 9, 513)])
    func difference(name: String, forbidden: ClosedRange<Int>, second: Int, evaluations: Double) throws {
        try check(Challenge(name: "difference, \(name)", smallest: [10, second], evaluations: evaluations) { choices in
            (0..<2).map { _ in choices.integer(in: 1...Int(Int32.max), simplest: 1) }
        } fails: { $0[0] >= 10 && forbidden.contains(abs($0[0] - $0[1])) })
    }

    @Test("distinct: three distinct integers")
    func distinct() throws {
        try check(Challenge(
            name: "distinct", smallest: [0, 1, -1], evaluations: 40) { $0.int32s() } fails: { Set($0).count > 2 })
    }

    @Test("nestedlists: more than ten elements in all, in any lists")
    func nestedLists() throws {
        try check(Challenge(
            name: "nestedlists", smallest: [Array(repeating: 0, count: 11)], evaluations: 40) { choices in
            choices.list(count: 0...20) { $0.list(count: 0...20) { $0.integer(in: 0...0) } }
        } fails: { $0.joined().count > 10 })
    }

    @Test("binheap: a heap's keys, wrongly sorted")
    func binheap() throws {
        let leaf = { Heap.node($0, .empty, .empty) }
        try check(Challenge(
            name: "binheap", smallest: .node(0, .empty, .node(0, leaf(0), leaf(1))), evaluations: 484
        ) {
            Heap(&$0)
        } fails: { heap in
            heap.wronglySorted != heap.keys.sorted()
        })
    }
}
