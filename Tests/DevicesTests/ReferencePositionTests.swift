import DeviceTestSupport
import Foundation
import ModelGraph
import Testing

@Suite("Reference: positions") struct ReferencePositionTests {
    static let ropes: [Rope] = [Rope.Pairing.normal, .neox].flatMap { pairing in
        [
            Rope(pairing: pairing, dimensions: 8, base: 10000),
            Rope(pairing: pairing, dimensions: 4, offset: 3, base: 100, frequencyScale: 0.5),
            Rope(
                pairing: pairing, dimensions: 8, base: 1000, frequencyScale: 0.25, extrapolation: 1, magnitude: 1.5,
                betaFast: 4, betaSlow: 1, originalContext: 64),
        ]
    }

    private func rope(_ rope: Rope, _ x: [Double], at position: Int) throws -> [Double] {
        try value {
            let x = $0.real([1, 1, x.count], x)
            return $0.graph.apply(.rope(rope, factors: false), x, $0.index(.positions, [position]))
        }
    }

    @Test("a pair is turned by position times frequency")
    func angle() throws {
        let two = Rope(pairing: .normal, dimensions: 2, base: 10000)
        #expect(close(try rope(two, [1, 0], at: 3), [cos(3), sin(3)]))
        #expect(close(try rope(two, [0, 2], at: 3), [-2 * sin(3), 2 * cos(3)]))
        let four = Rope(pairing: .normal, dimensions: 4, base: 100, frequencyScale: 0.5)
        #expect(close(try rope(four, [1, 0, 1, 0], at: 3), [cos(1.5), sin(1.5), cos(0.15), sin(0.15)]))
        let halves = Rope(pairing: .neox, dimensions: 4, base: 100, frequencyScale: 0.5)
        #expect(close(try rope(halves, [1, 1, 0, 0], at: 3), [cos(1.5), cos(0.15), sin(1.5), sin(0.15)]))
    }

    @Test("a factor divides its pair's frequency")
    func factors() throws {
        let rope = Rope(pairing: .neox, dimensions: 4, base: 100)
        let y = try value {
            let x = $0.real([1, 1, 4], [1, 1, 0, 0])
            return $0.graph.apply(
                .rope(rope, factors: true), x, $0.index(.positions, [3]), $0.weight([2], .f32, [2, 4]))
        }
        #expect(close(y, [cos(1.5), cos(0.075), sin(1.5), sin(0.075)]))
    }

    @Test("keeps the length of a head, times the magnitude on what it turns", arguments: ropes)
    func length(rope: Rope) throws {
        let x = (0..<8).map { Double($0 * 3 % 7) - 2.5 }
        let y = try self.rope(rope, x, at: 41)
        let turned = rope.offset..<rope.offset + rope.dimensions
        func squares(_ x: [Double]) -> Double { turned.reduce(0) { $0 + x[$1] * x[$1] } }
        #expect(close([squares(y)], [squares(x) * rope.magnitude * rope.magnitude]))
        for i in 0..<8 where !turned.contains(i) { #expect(y[i] == x[i]) }
    }

    @Test("products of turned heads depend on the distance only", arguments: ropes)
    func relative(rope: Rope) throws {
        let q = (0..<8).map { Double($0 * 3 % 7) - 2.5 }
        let k = (0..<8).map { Double($0 * 5 % 11) - 4 }
        func product(_ i: Int, _ j: Int) throws -> Double {
            zip(try self.rope(rope, q, at: i), try self.rope(rope, k, at: j)).reduce(0) { $0 + $1.0 * $1.1 }
        }
        #expect(close([try product(7, 2)], [try product(1007, 1002)], 1e-10))
        #expect(!close([try product(7, 2)], [try product(7, 3)], 1e-3))
    }

    @Test(
        "turning a turned key on is turning it to the sum of the positions",
        arguments: ropes.filter { $0.magnitude == 1 })
    func shift(rope: Rope) throws {
        let x = (0..<8).map { Double($0 * 3 % 7) - 2.5 }
        let there = try self.rope(rope, x, at: 29)
        // The first turn is rounded to float32 on its way in.
        #expect(close(try self.rope(rope, there, at: -12), try self.rope(rope, x, at: 17), 1e-6))
    }

    @Test(
        "windows end where they should",
        arguments: [
            (Mask(causal: true), [0, 1, 2, 3, 4, 5]), (Mask(causal: false), [0, 1, 2, 3, 4, 5, 6, 7]),
            (Mask(causal: true, window: .sliding(1)), [5]), (Mask(causal: true, window: .sliding(3)), [3, 4, 5]),
            (Mask(causal: true, window: .sliding(6)), [0, 1, 2, 3, 4, 5]),
            (Mask(causal: true, window: .chunked(4)), [4, 5]),
            (Mask(causal: true, window: .chunked(5)), [5]),
            (Mask(causal: true, window: .chunked(6)), [0, 1, 2, 3, 4, 5]),
            (Mask(causal: false, window: .chunked(4)), [4, 5, 6, 7]),
            (Mask(causal: false, window: .sliding(2)), [4, 5, 6, 7]),
            (Mask(causal: false, window: .symmetric(0)), [5]), (Mask(causal: false, window: .symmetric(1)), [4, 5, 6]),
            (Mask(causal: true, window: .symmetric(2)), [3, 4, 5]),
        ])
    func windows(mask: Mask, seen: [Int]) throws {
        let y = try value {
            let (positions, sequences) = ($0.index(.positions, [5]), $0.index(.sequences, [1]))
            let cells = $0.index(.cellPositions, Array(0..<8))
            let owners = $0.index(.cellSequences, [8]) { _ in Array(repeating: 1, count: 8) }
            return $0.graph.apply(.mask(mask), positions, sequences, cells, owners)
        }
        #expect(y == (0..<8).map { seen.contains($0) ? 0 : -.infinity })
    }

    @Test("a token sees cells whose sequences meet its own, and no empty one")
    func sequences() throws {
        let y = try value {
            let (positions, sequences) = ($0.index(.positions, [3, 3]), $0.index(.sequences, [1, 6]))
            let cells = $0.index(.cellPositions, [0, 1, 2, -1, 3])
            let owners = $0.index(.cellSequences, [1, 2, 5, 7, 8])
            return $0.graph.apply(.mask(Mask(causal: true)), positions, sequences, cells, owners)
        }
        let no = -Double.infinity
        #expect(y == [0, no, 0, no, no, no, 0, 0, no, no])
    }

    @Test("ALiBi slopes: a geometric sequence, interleaved with the next one's where heads are no power of two")
    func alibi() throws {
        #expect(
            (0..<8).map { alibiSlope(head: $0, heads: 8, maxBias: 8) } == [-1, -2, -3, -4, -5, -6, -7, -8].map(exp2))
        #expect((0..<3).map { alibiSlope(head: $0, heads: 3, maxBias: 8) } == [-4, -8, -2].map(exp2))
        #expect((8..<12).map { alibiSlope(head: $0, heads: 12, maxBias: 8) } == [-0.5, -1.5, -2.5, -3.5].map(exp2))
        let y = try value {
            $0.graph.apply(
                .alibi(heads: 2, maxBias: 8), $0.index(.positions, [2, 3]), $0.index(.cellPositions, [0, 2, 5]))
        }
        let distances: [Double] = [2, 0, 3, 3, 1, 2]
        #expect(y == distances.map { -$0 / 16 } + distances.map { -$0 / 256 })
    }

    @Test(
        "relative position buckets as in T5",
        arguments: [
            (
                true,
                [
                    (0, 0), (-1, 1), (1, 17), (-7, 7), (-8, 8), (8, 24), (-15, 9), (-16, 10), (-31, 11), (-32, 12),
                    (-64, 14), (-127, 15), (127, 31), (9999, 31),
                ]
            ),
            (
                false,
                [
                    (0, 0), (3, 0), (-1, 1), (-15, 15), (-16, 16), (-31, 21), (-32, 21), (-64, 26), (-127, 31),
                    (-9999, 31),
                ]
            ),
        ])
    func buckets(bidirectional: Bool, expected: [(Int, Int)]) {
        for (distance, bucket) in expected {
            #expect(
                relativePositionBucket(distance, buckets: 32, bidirectional: bidirectional, maxDistance: 128) == bucket,
                "distance \(distance)")
        }
    }

    @Test("relative position bias reads the table's column of the head at cell − token")
    func relativePositionBias() throws {
        let table = (0..<16).map { Float($0) }  // [8, 2]
        let y = try value {
            let (positions, cells) = ($0.index(.positions, [1]), $0.index(.cellPositions, [0, 1, 2]))
            return $0.graph.apply(
                .relativePositionBias(bidirectional: true, maxDistance: 128), $0.weight([8, 2], .f32, table), positions,
                cells)
        }
        // One back: bucket 1; here: 0; one ahead: 4 + 1.
        #expect(y == [2, 0, 10, 3, 1, 11])
    }

    @Test("attention temperature grows at each multiple of the length")
    func temperature() throws {
        let y = try value {
            $0.graph.apply(
                .attentionTemperature(scale: 0.5, length: 4, offset: 1), $0.index(.positions, [0, 2, 3, 6, 7]))
        }
        let chunks: [Double] = [0, 0, 1, 1, 2]
        #expect(close(y, chunks.map { 1 + 0.5 * log(1 + $0) }))
    }
}
