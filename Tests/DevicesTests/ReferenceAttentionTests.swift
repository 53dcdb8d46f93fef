import DeviceTestSupport
import Foundation
import ModelGraph
import Testing

@Suite("Reference: attention and routing") struct ReferenceAttentionTests {
    @Test("equal scores average the values that are seen, whatever the others hold")
    func average() throws {
        let y = try value {
            let q = $0.real([1, 1, 1], [0])
            let k = $0.real([3, 1, 1], [5, 7, .nan])
            let v = $0.real([3, 1, 2], [1, 2, 3, 6, .nan, .infinity])
            let mask = $0.real([1, 3], [0, 0, -.infinity])
            return $0.graph.apply(.attention(Attention(scale: 1, valueSize: 2)), q, k, v, mask)
        }
        #expect(y == [2, 4])
    }

    @Test("three query heads share a key head")
    func groups() throws {
        let y = try value {
            // Head h asks for cell h mod 2 so loudly that it hears nothing else.
            let q = $0.real([1, 6, 2], (0..<6).flatMap { $0 % 2 == 0 ? [900.0, 0] : [0, 900] })
            let k = $0.real([2, 2, 2], [1, 0, 1, 0, 0, 1, 0, 1])
            let v = $0.real([2, 2, 1], [1, 2, 3, 4])
            return $0.graph.apply(.attention(Attention(scale: 1, valueSize: 1)), q, k, v, $0.real([1, 2], [0, 0]))
        }
        #expect(y == [1, 3, 1, 4, 2, 4])
    }

    @Test("a bias of ln 3 weighs a cell three times, a sink of ln 4 takes half")
    func biasAndSinks() throws {
        func attention(_ bias: Bool, _ sinks: Bool) throws -> [Double] {
            try value { o in
                let q = o.real([1, 1, 1], [0])
                let k = o.real([2, 1, 1], [1, 1])
                let v = o.real([2, 1, 1], [4, 8])
                let mask = o.real([1, 2], [0, 0])
                var operands = [q, k, v, mask]
                if bias { operands.append(o.real([1, 1, 2], [0, log(3)])) }
                if sinks { operands.append(o.real([1], [log(bias ? 4 : 2)])) }
                return o.graph.apply(.attention(Attention(scale: 1, valueSize: 1, bias: bias, sinks: sinks)), operands)
            }
        }
        #expect(close(try attention(false, false), [6]))
        #expect(close(try attention(true, false), [7], 1e-7))
        #expect(close(try attention(false, true), [3], 1e-7))
        #expect(close(try attention(true, true), [3.5], 1e-7))
    }

    @Test("the softcap comes before bias and mask, the scale before the softcap")
    func softcap() throws {
        let y = try value {
            let q = $0.real([1, 1, 1], [6])
            let k = $0.real([2, 1, 1], [1, 0])
            let v = $0.real([2, 1, 1], [1, 0])
            let mask = $0.real([1, 2], [0, 0])
            let bias = $0.real([1, 1, 2], [0.25, 0])
            return $0.graph.apply(
                .attention(Attention(scale: 0.5, softcap: 2, valueSize: 1, bias: true)), q, k, v, mask, bias)
        }
        #expect(close(y, [1 / (1 + exp(-(2 * tanh(1.5) + 0.25)))]))
    }

    @Test("only the leading elements of values are used")
    func valueSize() throws {
        let y = try value {
            let q = $0.real([1, 1, 3], [0, 0, 0])
            let kv = $0.real([2, 1, 3], [1, 2, 3, 3, 4, 5])
            return $0.graph.apply(.attention(Attention(scale: 1, valueSize: 2)), q, kv, kv, $0.real([1, 2], [0, 0]))
        }
        #expect(y == [2, 3])
    }

    @Test("a token that sees nothing gets zeros, with and without sinks", arguments: [false, true])
    func empty(sinks: Bool) throws {
        let y = try value { o in
            let q = o.real([2, 1, 1], [1, 1])
            let k = o.real([1, 1, 1], [1])
            let v = o.real([1, 1, 1], [3])
            let mask = o.real([2, 1], [-.infinity, 0])
            let sink = sinks ? [o.real([1], [1])] : []
            return o.graph.apply(.attention(Attention(scale: 1, valueSize: 1, sinks: sinks)), [q, k, v, mask] + sink)
        }
        #expect(close(y, [0, sinks ? 1.5 : 3]))
    }

    @Test("the best experts come first, the lower of equals before the other")
    func topExperts() throws {
        func top(_ scores: [Double], _ routing: Routing) throws -> [Double] {
            try value { $0.graph.apply(.topExperts(routing), $0.real([1, scores.count], scores)) }
        }
        #expect(try top([3, 9, -1, 9, 4], Routing(used: 3)) == [1, 3, 4])
        #expect(try top([0, 0, 0], Routing(used: 3)) == [0, 1, 2])
        // Groups of scores 10 (9 + 1), 11 (6 + 5), 4: the single best expert's group is not the best group.
        let scores: [Double] = [9, 1, 6, 5, 2, 2]
        #expect(try top(scores, Routing(used: 2, groups: 3, groupsUsed: 1)) == [2, 3])
        #expect(try top(scores, Routing(used: 2, groups: 3, groupsUsed: 2)) == [0, 2])
        #expect(try top([4, 4, 5, 0], Routing(used: 1, groups: 2, groupsUsed: 1)) == [0])
        #expect(try top([4, 4, 5, 0], Routing(used: 1, groups: 2, groupsUsed: 1, groupBest: 1)) == [2])
        #expect(try top(scores, Routing(used: 4, groups: 3, groupsUsed: 3)) == [0, 2, 3, 4])
        // Of a third element in a group, only the best two count.
        #expect(try top([3, 3, 3, 4, 3, 0], Routing(used: 1, groups: 2, groupsUsed: 1)) == [3])
        // Experts of groups that are left out are so even where their scores are the greater.
        #expect(try top([-1, -1, -9, 5], Routing(used: 2, groups: 2, groupsUsed: 1)) == [0, 1])
        // Groups of one expert.
        #expect(try top([1, 3, 2], Routing(used: 1, groups: 3, groupsUsed: 2)) == [1])
    }

    @Test("takeExperts takes each token's own")
    func takeExperts() throws {
        let y = try value {
            let x = $0.real([2, 3], [1, 2, 3, 4, 5, 6])
            return $0.graph.apply(.takeExperts, x, $0.index(.tokens, [2, 2]) { _ in [2, 0, 1, 1] })
        }
        #expect(y == [3, 1, 5, 5])
    }
}
