import DeviceTestSupport
import Devices
import ModelGraph
import Testing

@Suite("Reference: decisions") struct DecisionLogTests {
    private func decisions(
        _ scores: [[Float]], _ routing: Routing, rounding: Rounding? = nil, prescribed: [[Int]] = []
    ) throws -> [Decision] {
        let opCase = OpCase("decisions") {
            let scores = $0.real([scores.count, scores[0].count]) { _ in scores.flatMap { $0 } }
            return [$0.graph.apply(.topExperts(routing), scores)]
        }
        let log = DecisionLog(prescribed: prescribed)
        _ = try run(opCase, on: ReferenceDevice(rounding: rounding, decisions: log))
        return log.decisions
    }

    @Test("the margin is from the last expert that is taken to the best that is not, token by token")
    func experts() throws {
        let found = try decisions([[3, 9, -1, 8, 4.5], [0, 0, 0, 0, 0]], Routing(used: 3))
        #expect(found.map(\.margin) == [1.5, 0])
        #expect(found.map(\.taken) == [[1, 3, 4], [0, 1, 2]])
    }

    @Test("groups are decided before the experts of those that are taken")
    func groups() throws {
        // Groups of scores 10, 11 and 4.
        let found = try decisions([[9, 1, 6, 5, 2, 2]], Routing(used: 1, groups: 3, groupsUsed: 2))
        #expect(found.map(\.margin) == [6, 3])
        #expect(found.map(\.taken) == [[0, 1], [0]])
    }

    @Test("where everything is taken, nothing is decided")
    func everything() throws {
        #expect(try decisions([[1, 2, 3]], Routing(used: 3)).isEmpty)
        // All experts of the one group that is taken.
        let found = try decisions([[9, 1, 6, 5, 2, 2]], Routing(used: 2, groups: 3, groupsUsed: 1))
        #expect(found.map(\.margin) == [1])
    }

    @Test("decision i of a rounded run is decision i of the exact one, even where it falls otherwise")
    func order() throws {
        let scores: [[Float]] = (0..<50).map { t in (0..<8).map { e in Float(t * 13 % 7) + (e == t % 8 ? 1e-9 : 0) } }
        let routing = Routing(used: 2, groups: 4, groupsUsed: 2)
        let exact = try decisions(scores, routing)
        let precision = Precision(storage: .float32, accumulation: .float32)
        let rounded = try decisions(scores, routing, rounding: Rounding(seed: 1, precision: precision))
        #expect(exact.count == 100 && rounded.count == 100)
        #expect(exact.map(\.taken) != rounded.map(\.taken))
    }

    @Test("the first decisions fall as they are prescribed, whatever the scores, and those after them are free")
    func prescribed() throws {
        let scores: [[Float]] = [[3, 9, -1, 8], [1, 2, 3, 4]]
        let found = try decisions(scores, Routing(used: 2), prescribed: [[0, 2]])
        #expect(found.map(\.taken) == [[0, 2], [2, 3]])
        // The last that is taken is worse than the best that is not.
        #expect(found.map(\.margin) == [-10, 1])
        #expect(found[0].least == [.init(index: 2, score: -1), .init(index: 0, score: 3)])
        #expect(found[0].greatest == [.init(index: 1, score: 9), .init(index: 3, score: 8)])
        // Of one group, then of its experts.
        let groups = try decisions(
            [[9, 1, 6, 5, 2, 2]], Routing(used: 1, groups: 3, groupsUsed: 1), prescribed: [[2], [5]])
        #expect(groups.map(\.taken) == [[2], [5]])
    }

    @Test("what a decision cannot take is an error", arguments: [[0], [0, 1, 2], [0, 7]])
    func unprescribable(taken: [Int]) {
        #expect(throws: DeviceError.self) { try decisions([[3, 9, -1, 8]], Routing(used: 2), prescribed: [taken]) }
    }

    @Test("a device without a log computes the same")
    func withoutLog() throws {
        let opCase = OpCase("plain") { [$0.graph.apply(.topExperts(Routing(used: 2)), $0.real([3, 5]))] }
        let plain = try run(opCase, on: ReferenceDevice()).outputs
        #expect(try run(opCase, on: ReferenceDevice(decisions: DecisionLog())).outputs == plain)
    }
}
