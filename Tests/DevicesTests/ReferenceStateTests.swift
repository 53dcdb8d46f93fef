import DeviceTestSupport
import Devices
import Foundation
import GGUF
import ModelGraph
import Testing

@Suite("Reference: states") struct ReferenceStateTests {
    // MARK: Caches

    @Test("store writes rows to their cells and gives the leading cells; later batches find them")
    func store() throws {
        let y = try reference(steps: 2) {
            let x = $0.real([2, 1, 2]) { step in step == 0 ? [1, 2, 3, 4] : [5, 6, 7, 8] }
            let cells = $0.index(.cells, [2]) { step in step == 0 ? [2, 0] : [1, 3] }
            return $0.graph.apply(.store($0.graph.state("cache", .cache, row: [1, 2]), cells: 3), x, cells)
        }
        #expect(y == [[3, 4, 0, 0, 1, 2], [3, 4, 5, 6, 1, 2]])
    }

    @Test("load sees what was stored before it")
    func load() throws {
        let y = try reference {
            let cache = $0.graph.state("cache", .cache, row: [1])
            let x = $0.real([1, 1], [7])
            _ = $0.graph.apply(.store(cache, cells: 1), x, $0.index(.cells, [1]))
            return $0.graph.apply(.load(cache, cells: 2), [])
        }
        #expect(y == [[0, 7]])
    }

    @Test("an F16 cache rounds to half precision on each write, an F32 one does not")
    func half() throws {
        func stored(_ type: StateType) throws -> [Double] {
            try reference(stateType: type) {
                let x = $0.real([1, 5], [1.0 / 3, 2049, 2051, 65520, 1e-8])
                return $0.graph.apply(
                    .store($0.graph.state("cache", .cache, row: [5]), cells: 1), x, $0.index(.cells, [0]))
            }[0]
        }
        #expect(try stored(.half) == [0.333251953125, 2048, 2052, .infinity, 0])
        #expect(try stored(.full) == [Double(Float(1.0 / 3)), 2049, 2051, 65520, Double(Float(1e-8))])
    }

    @Test("rows are cleared, copied, read and written; a row that is not there is an error")
    func rows() throws {
        let declared = try stateGraph()
        let state = try ReferenceDevice().allocate(declared, rows: 3, type: .half)
        try state.write([1, 2, 3, 4.0001])
        try state.copy(row: 1, to: 2)
        try state.clear(row: 0)
        #expect(try state.read(rows: 3) == [0, 0, 3, 4, 3, 4])
        #expect(throws: DeviceError.self) { try state.clear(row: 3) }
        #expect(throws: DeviceError.self) { try state.copy(row: 0, to: -1) }
        #expect(throws: DeviceError.self) { try state.read(rows: 4) }
        #expect(throws: DeviceError.self) { try state.write([1]) }
        #expect(throws: DeviceError.self) { try state.write(Array(repeating: 0, count: 8)) }
    }

    private func stateGraph() throws -> State {
        let builder = GraphBuilder(batch: BatchShape(tokens: 1, outputs: 1, cells: 1), hasTensor: { _ in true })
        let id = builder.state("cache", .cache, row: [2])
        return try builder.finish().states[id]
    }

    // MARK: Recurrences, by hand

    @Test("convolution weighs the last inputs, zeros before the first")
    func convolution() throws {
        let y = try reference(steps: 2) {
            let x = $0.real([2, 2]) { step in step == 0 ? [1, 10, 2, 20] : [3, 30, 4, 40] }
            let state = $0.graph.state("conv", .recurrent, row: [2, 2])
            return $0.graph.apply(
                .convolution(state), x, $0.weight([2, 3], .f32, [100, 10, 1, 0, 0, 1]), $0.index(.slots, [1, 1]))
        }
        #expect(y == [[1, 10, 12, 20], [123, 30, 234, 40]])
    }

    @Test("a convolution of one tap has an empty state")
    func oneTap() throws {
        let y = try value {
            let x = $0.real([2, 2], [1, 2, 3, 4])
            let state = $0.graph.state("conv", .recurrent, row: [0, 2])
            return $0.graph.apply(.convolution(state), x, $0.weight([2, 1], .f32, [2, 3]), $0.index(.slots, [0, 0]))
        }
        #expect(y == [2, 6, 6, 12])
    }

    @Test("tokenShift gives the input before, of the same sequence")
    func tokenShift() throws {
        let y = try reference(steps: 2) {
            let x = $0.real([3, 1]) { step in step == 0 ? [1, 2, 3] : [4, 5, 6] }
            return $0.graph.apply(
                .tokenShift($0.graph.state("shift", .recurrent, row: [1])), x, $0.index(.slots, [0, 3, 0]))
        }
        #expect(y == [[0, 0, 1], [3, 2, 4]])
    }

    @Test("selective scan is a sum of decayed inputs", arguments: [1, 2])
    func scan(groups: Int) throws {
        let (t, h, p, n) = (5, 4, 2, 3)
        func draw(_ count: Int, _ salt: Int) -> [Double] { (0..<count).map { Double(($0 + 1) * salt % 17 - 8) / 8 } }
        let (x, step, b, c) = (draw(t * h * p, 5), draw(t * h, 7), draw(t * groups * n, 11), draw(t * groups * n, 3))
        let a = [-0.5, -1, -2, -0.25]
        let y = try value {
            let operands = [
                $0.real([t, h, p], x), $0.real([t, h], step), $0.weight([h, 1], .f32, a.map { Float($0) }),
                $0.real([t, groups, n], b),
                $0.real([t, groups, n], c), $0.index(.slots, Array(repeating: 1, count: t)),
            ]
            return $0.graph.apply(.selectiveScan($0.graph.state("ssm", .recurrent, row: [h, p, n])), operands)
        }
        // y[t] = Σ_{s ≤ t} (C_t · B_s) · exp(A · Σ_{s < u ≤ t} δ_u) · δ_s · x_s: attention, in other words.
        func delta(_ t: Int, _ head: Int) -> Double { log(1 + exp(step[t * h + head])) }
        var expected: [Double] = []
        for now in 0..<t {
            for head in 0..<h {
                let group = head * groups / h
                for i in 0..<p {
                    expected.append(
                        (0...now).reduce(0) { sum, s in
                            let product = (0..<n).reduce(0) {
                                $0 + c[(now * groups + group) * n + $1] * b[(s * groups + group) * n + $1]
                            }
                            let elapsed = (s..<now).reduce(0) { $0 + delta($1 + 1, head) }
                            return sum + product * exp(a[head] * elapsed) * delta(s, head) * x[(s * h + head) * p + i]
                        })
                }
            }
        }
        #expect(close(y, expected))
    }

    @Test("a decay for each element of the state, all equal, is one decay a head")
    func decays() throws {
        func scan(_ extent: Int) throws -> [Double] {
            try value("decays") {
                let x = $0.real([4, 3, 2])
                let delta = $0.real([4, 3])
                let b = $0.real([4, 1, 5])
                let c = $0.real([4, 1, 5])
                let a = $0.weight([3, extent], .f32, [-0.5, -1, -2].flatMap { Array(repeating: $0, count: extent) })
                let state = $0.graph.state("ssm", .recurrent, row: [3, 2, 5])
                return $0.graph.apply(.selectiveScan(state), x, delta, a, b, c, $0.index(.slots, [0, 0, 0, 0]))
            }
        }
        #expect(try scan(1) == scan(5))
    }

    /// One head's delta rule over keys of `size`.
    private func delta(_ q: [[Double]], _ k: [[Double]], _ v: [[Double]], gate: [[Double]], beta: [Double]) throws
        -> [Double]
    {
        try value {
            let (t, s) = (q.count, q[0].count)
            let operands = [
                $0.real([t, 1, s], q.flatMap { $0 }), $0.real([t, 1, s], k.flatMap { $0 }),
                $0.real([t, 1, s], v.flatMap { $0 }),
                $0.real([t, 1, gate[0].count], gate.flatMap { $0 }), $0.real([t, 1], beta),
                $0.index(.slots, Array(repeating: 0, count: t)),
            ]
            return $0.graph.apply(
                .gatedDeltaRule($0.graph.state("delta", .recurrent, row: [1, s, s]), scale: 0.5), operands)
        }
    }

    @Test("the delta rule replaces what a unit key held and leaves orthogonal keys alone")
    func replaces() throws {
        let (e0, e1): ([Double], [Double]) = ([1, 0], [0, 1])
        let y = try delta(
            [e0, e1, e0, e1], [e0, e1, e0, e0], [[2, 4], [6, 8], [10, 12], [14, 16]],
            gate: Array(repeating: [0], count: 4),
            beta: [1, 1, 1, 0.5])
        // Last: e0 holds the mean of [10, 12] and [14, 16]; e1 still holds [6, 8].
        #expect(y == [1, 2, 3, 4, 5, 6, 3, 4])
    }

    @Test("the gate decays before the key is read; one gate a key element decays that element's row")
    func gates() throws {
        let half = log(0.5)
        let y = try delta(
            [[1, 1], [1, 1]], [[1, 1], [0, 0]], [[8, 16], [0, 0]], gate: [[0], [half]], beta: [0.5, 1])
        #expect(close(y, [4, 8, 2, 4], 1e-7))
        let rows = try delta(
            [[1, 0], [1, 1]], [[1, 1], [0, 0]], [[8, 16], [0, 0]], gate: [[0, 0], [half, -800]], beta: [0.5, 1])
        #expect(close(rows, [2, 4, 1, 2], 1e-7))
    }

    @Test("value heads read the key head of their group")
    func keyHeads() throws {
        let y = try value {
            let q = $0.real([1, 2, 1], [1, 1])
            let k = $0.real([1, 2, 1], [1, 10])
            let v = $0.real([1, 4, 1], [1, 2, 3, 4])
            let g = $0.real([1, 4, 1], [0, 0, 0, 0])
            let beta = $0.real([1, 4], [1, 1, 1, 1])
            let state = $0.graph.state("delta", .recurrent, row: [4, 1, 1])
            return $0.graph.apply(.gatedDeltaRule(state, scale: 1), q, k, v, g, beta, $0.index(.slots, [0]))
        }
        #expect(y == [1, 2, 30, 40])
    }

    @Test("WKV-7 that removes what its key held is the delta rule")
    func wkv() throws {
        let (t, h, s) = (6, 2, 4)
        func both(_ build: (Operands, Value, Value, Value, Value) -> Value) throws -> [Double] {
            try value("both") {
                let q = $0.real([t, h, s])
                let k = $0.real([t, h, s])
                let v = $0.real([t, h, s])
                return build($0, q, k, v, $0.index(.slots, Array(repeating: 0, count: t)))
            }
        }
        let wkv = try both { o, q, k, v, slots in
            let w = o.real([t, h, s]) { _ in Array(repeating: 0.5, count: t * h * s) }
            // M Diag(w) − (M Diag(w) k) kᵀ, with Diag(w) moved into a.
            let a = o.real([t, h, s]) { _ in Array(repeating: -0.5, count: t * h * s) }
            return o.graph.apply(.wkv7(o.graph.state("m", .recurrent, row: [h, s, s])), q, w, k, v, a * k, k, slots)
        }
        let delta = try both { o, q, k, v, slots in
            let gate = o.real([t, h, 1]) { _ in Array(repeating: Float(log(0.5)), count: t * h) }
            let beta = o.real([t, h]) { _ in Array(repeating: 1, count: t * h) }
            return o.graph.apply(
                .gatedDeltaRule(o.graph.state("m", .recurrent, row: [h, s, s]), scale: 1), q, k, v, gate, beta, slots)
        }
        #expect(close(wkv, delta, 1e-6))
    }

    // MARK: Recurrences, in parts

    /// A recurrent op over given tokens of a longer text: values depend on the token's number alone.
    struct Recurrence: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var row: Shape
        /// Shape of each operand that has a row a token.
        var rows: [Shape]
        /// The operand that is a weight.
        var weight: (place: Int, shape: Shape)?
        var op: @Sendable (StateID) -> Op

        func part(_ tokens: [Int], slots: [Int]) -> OpCase {
            OpCase(testDescription) { o in
                var operands = rows.enumerated().map { operand, row in
                    o.real(row.repeated(tokens.count)) { _ in
                        tokens.flatMap { t in
                            (0..<row.count).map { Float(((t + 3) * (operand + 5) * ($0 + 7)) % 31 - 15) / 32 }
                        }
                    }
                }
                if let weight {
                    let elements = (0..<weight.shape.count).map { -Float($0 % 5 + 1) / 4 }
                    operands.insert(o.weight(weight.shape, .f32, elements), at: weight.place)
                }
                return [
                    o.graph.apply(op(o.graph.state("state", .recurrent, row: row)), operands + [o.index(.slots, slots)])
                ]
            }
        }
    }

    static let recurrences = [
        Recurrence(testDescription: "convolution", row: [3, 5], rows: [[5]], weight: (1, [5, 4])) { .convolution($0) },
        Recurrence(testDescription: "tokenShift", row: [5], rows: [[5]]) { .tokenShift($0) },
        Recurrence(
            testDescription: "selectiveScan", row: [4, 3, 5], rows: [[4, 3], [4], [2, 5], [2, 5]], weight: (2, [4, 1])
        ) { .selectiveScan($0) },
        Recurrence(testDescription: "gatedDeltaRule", row: [4, 3, 3], rows: [[2, 3], [2, 3], [4, 3], [4, 3], [4]]) {
            .gatedDeltaRule($0, scale: 0.6)
        },
        Recurrence(testDescription: "linearAttention", row: [2, 3, 3], rows: Array(repeating: [2, 3], count: 4)) {
            .linearAttention($0, scale: 0.6, bonus: false)
        },
        Recurrence(testDescription: "wkv7", row: [2, 3, 3], rows: Array(repeating: [2, 3], count: 6)) { .wkv7($0) },
    ]

    @Test("any split of a text gives the same bits", arguments: recurrences, [1, 2, 4, 6])
    func split(recurrence: Recurrence, at cut: Int) throws {
        let slots = Array(repeating: 1, count: 7)
        let device = ReferenceDevice()
        let whole = try run(recurrence.part(Array(0..<7), slots: slots), on: device)
        let parts = try run(
            [
                recurrence.part(Array(0..<cut), slots: Array(slots[..<cut])),
                recurrence.part(Array(cut..<7), slots: Array(slots[cut...])),
            ],
            on: device)
        #expect(parts.outputs.flatMap { $0[0].doubles } == whole.outputs[0][0].doubles)
        #expect(parts.states == whole.states)
    }

    @Test("sequences whose tokens alternate in a batch do not touch each other", arguments: recurrences)
    func isolation(recurrence: Recurrence) throws {
        let device = ReferenceDevice()
        // Tokens 0 ... 3 and 10 ... 12, as two sequences: alternating, then each for itself.
        let (tokens, slots) = ([0, 10, 1, 2, 11, 12, 3], [0, 2, 0, 0, 2, 2, 0])
        let mixed = try run(recurrence.part(tokens, slots: slots), on: device).outputs[0][0].doubles
        for slot in [0, 2] {
            let own = slots.indices.filter { slots[$0] == slot }
            let alone = try run(recurrence.part(own.map { tokens[$0] }, slots: own.map { _ in slot }), on: device)
                .outputs[0][0].doubles
            let size = mixed.count / tokens.count
            #expect(own.flatMap { Array(mixed[$0 * size..<($0 + 1) * size]) } == alone)
        }
    }
}
