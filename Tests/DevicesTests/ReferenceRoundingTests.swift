import DeviceTestSupport
import Devices
import Foundation
import GGUF
import ModelGraph
import Testing

@Suite("Reference: rounding") struct ReferenceRoundingTests {
    private static let float32 = Precision(storage: .float32, accumulation: .float32)
    private let unit = 0x1p-24
    /// Products with any weights.
    private static func products(_ arithmetic: Precision.Arithmetic) -> Precision {
        var precision = float32
        for type in TensorType.allCases { precision.products[.init(type, .many)] = arithmetic }
        return precision
    }
    private static let blocksOf32 = products(.init(.blocksOf32))

    private func device(_ seed: UInt64 = 1, _ precision: Precision = float32) -> ReferenceDevice {
        ReferenceDevice(rounding: Rounding(seed: seed, precision: precision))
    }

    /// What rounding adds to each element of a case's first output.
    private func errors(_ opCase: OpCase, on device: ReferenceDevice) throws -> [Double] {
        let exact = try run(opCase, on: ReferenceDevice()).outputs[0][0].doubles
        return zip(try run(opCase, on: device).outputs[0][0].doubles, exact).map(-)
    }

    private func rootMeanSquare(_ errors: [Double]) -> Double {
        (errors.reduce(0) { $0 + $1 * $1 } / Double(errors.count)).squareRoot()
    }

    @Test("a result is off by at most the unit roundoff, evenly on both sides", arguments: [1, 2, 3] as [UInt64])
    func results(seed: UInt64) throws {
        let twos = OpCase("twos") { [$0.real([1 << 14]) { _ in Array(repeating: 1, count: 1 << 14) } * 2] }
        let errors = try errors(twos, on: device(seed)).map { $0 / (2 * unit) }
        #expect(errors.allSatisfy { abs($0) <= 1 } && errors.contains { $0 > 0.99 } && errors.contains { $0 < -0.99 })
        #expect(abs(rootMeanSquare(errors) - (1.0 / 3).squareRoot()) < 0.01)
        // Four standard deviations of the mean.
        let mean: Double = errors.reduce(0, +) / Double(errors.count)
        #expect(abs(mean) * Double(3 * errors.count).squareRoot() < 4)

        let half = try self.errors(twos, on: device(seed, Precision(storage: .float16, accumulation: .float32)))
        #expect(half.contains { abs($0) > 0x1p-11 } && half.allSatisfy { abs($0) <= 0x1p-10 })
    }

    @Test("sums that cancel err by the roundings of their partial sums", arguments: [8, 128, 512])
    func sums(terms: Int) throws {
        // Each row is 0 in total, so that rounding the result changes nothing.
        let opCase = OpCase("sums") {
            let row = (0..<terms).map { Float($0 % 2 == 0 ? 1 : -1) }
            let x = $0.real([64, terms]) { _ in (0..<64).flatMap { _ in row } }
            return [x.matmul($0.weight([64, terms], .f32, Array(repeating: 1, count: 64 * terms)))]
        }
        // √Σp² is √terms.
        let expected = unit * (Double(terms) * Double(terms) / 8 / 3).squareRoot()
        #expect(abs(rootMeanSquare(try errors(opCase, on: device())) / expected - 1) < 0.05)
    }

    @Test("activations whose block has a step beyond half precision are infinite")
    func overflowingActivations() throws {
        // A block of Q8_0 has 127 steps to a side.
        let precision = Self.blocksOf32
        for (step, isFinite) in [(65_519, true), (65_521, false)] as [(Float, Bool)] {
            let opCase = OpCase("overflow") {
                let x = $0.real([1, 32]) { _ in Array(repeating: 127 * step, count: 32) }
                return [x.matmul($0.weight([1, 32], .q8_0, Array(repeating: 1, count: 32)))]
            }
            #expect(try errors(opCase, on: device(1, precision)).allSatisfy { $0.isFinite == isFinite })
        }
    }

    @Test("activations whose block has a sum beyond half precision are infinite, where weights have minima")
    func overflowingSums() throws {
        let precision = Self.blocksOf32
        let cases: [(TensorType, Float, Bool)] = [
            (.q4_1, 2047, true), (.q4_1, 2048, false), (.q5_1, 2048, false), (.q8_0, 2048, true),
        ]
        for (type, element, isFinite) in cases {
            let opCase = OpCase("overflow") {
                let x = $0.real([1, 32]) { _ in Array(repeating: element, count: 32) }
                return [x.matmul($0.weight([1, 32], type, Array(repeating: 1, count: 32)))]
            }
            #expect(try errors(opCase, on: device(1, precision)).allSatisfy { $0.isFinite == isFinite }, "\(type)")
        }
    }

    @Test("a seed always gives the same bits, another seed others; so do the runs of a script")
    func seeds() throws {
        let opCase = OpCase("steps", steps: 2) {
            let x = $0.real([64]) { _ in Array(repeating: 1, count: 64) }
            return [x * 3, x * 3]
        }
        let first = try run(opCase, on: device()).outputs
        #expect(try run(opCase, on: device()).outputs == first)
        #expect(try run(opCase, on: device(2)).outputs != first)
        // Neither ops nor runs share their noise.
        #expect(Set(first.flatMap { $0 }).count == 4)
    }

    @Test("float64 rounds nothing", arguments: opCases)
    func exact(opCase: OpCase) throws {
        let float64 = Precision(storage: .float64, accumulation: .float64)
        let rounded = try run(opCase, on: device(1, float64))
        let exact = try run(opCase, on: ReferenceDevice())
        #expect(rounded.outputs == exact.outputs && rounded.states == exact.states)
    }

    @Test("what is moved or chosen is exact on any device")
    func moved() throws {
        let opCase = OpCase("moved") {
            let x = $0.real([4, 6])
            let cells = $0.index(.cells, [2, 0, 1, 3])
            let slots = $0.index(.slots, [0, 0, 1, 1])
            let table = $0.weight([5, 6])
            return [
                table.rows(cells), x.columns(1, 3), x.reshaped([6, 4]), x.broadcast([2, 4, 6]), x.clamped(-0.5, 0.5),
                x(.relu), $0.graph.apply(.concatenate(axis: 1), x, x), $0.graph.apply(.topExperts(Routing(used: 2)), x),
                $0.graph.apply(.store($0.graph.state("cache", .cache, row: [6]), cells: 4), x, cells),
                $0.graph.apply(.tokenShift($0.graph.state("shift", .recurrent, row: [6])), x, slots),
                $0.graph.apply(.takeExperts, x, $0.graph.apply(.topExperts(Routing(used: 2)), x)),
            ]
        }
        #expect(try run(opCase, on: device()).outputs == run(opCase, on: ReferenceDevice()).outputs)
    }

    @Test(
        "operands err by what they are rounded to, and what that holds does not",
        arguments: [
            (Precision.Operands.tensorFloat32, 0x1p-11), (.cutTensorFloat32, 0x1p-10), (.float16, 0x1p-11),
            (.bfloat16, 0x1p-8), (.blocksOf32, 1 / 254), (.blocksOf256, 1 / 254),
        ])
    func operands(operands: Precision.Operands, unit: Double) throws {
        func errors(_ x: Float) throws -> [Double] {
            let opCase = OpCase("operands") {
                // One number a row, beside one that is the step's whole: each result has one operand's error.
                let x = $0.real([256, 32]) { _ in (0..<256).flatMap { _ in [x, 1] + Array(repeating: 0, count: 30) } }
                return [x.matmul($0.weight([1, 32], .bf16, [1] + Array(repeating: 0, count: 31)))]
            }
            return try self.errors(opCase, on: device(1, Self.products(.init(operands))))
        }
        let found = try errors(0.7), half = operands == .blocksOf32 ? 0x1p-11 : 0
        let bound = operands == .blocksOf32 || operands == .blocksOf256 ? unit + 0.7 * half : 0.7 * unit
        #expect(found.allSatisfy { abs($0) <= 1.001 * bound } && found.contains { abs($0) > 0.9 * unit * 0.7 })
        #expect(try errors(1).allSatisfy { abs($0) <= 1.001 * half + 1e-6 })
    }

    @Test("sums in half precision err as such, and overflow")
    func narrowSums() throws {
        func errors(_ x: Float, terms: Int, _ sums: Precision.Sums) throws -> [Double] {
            let opCase = OpCase("narrow sums") {
                let x = $0.real([64, terms]) { _ in
                    (0..<64 * terms).map { $0 % 2 == 0 ? x : -x }
                }
                return [x.matmul($0.weight([1, terms], .f16, Array(repeating: 1, count: terms)))]
            }
            return try self.errors(opCase, on: device(1, Self.products(.init(.asStored, sums: sums))))
        }
        // √Σp² is √terms.
        let half = 0x1p-11 * (512.0 / 2).squareRoot() * 512.0.squareRoot() / 3.0.squareRoot()
        #expect((0.7...1.4).contains(rootMeanSquare(try errors(1, terms: 512, .float16)) / half))
        let chunks = 0x1p-11 * (32.0 / 2).squareRoot() * 512.0.squareRoot() / 3.0.squareRoot()
        #expect((0.7...1.4).contains(rootMeanSquare(try errors(1, terms: 512, .chunkedFloat16)) / chunks))
        #expect(try errors(60_000, terms: 2, .float16).allSatisfy { !$0.isFinite })
        #expect(try errors(60_000, terms: 2, .full).allSatisfy(\.isFinite))
    }

    @Test("of products of several row counts the coarsest up to the largest batch counts")
    func rows() throws {
        var precision = Self.float32
        precision.products[.init(.f32, .few)] = .init(.bfloat16)
        let opCase = OpCase("rows") {
            let x = $0.real([1, 8]) { _ in Array(repeating: 0.7, count: 8) }
            return [x.matmul($0.weight([4, 8], .f32, Array(repeating: 0.7, count: 32)))]
        }
        func largest(_ rows: Precision.RowCount) throws -> Double {
            let device = ReferenceDevice(rounding: Rounding(seed: 1, precision: precision, rows: rows))
            return try errors(opCase, on: device).map(abs).max() ?? 0
        }
        #expect(try largest(.one) < 1e-5 && largest(.few) > 1e-4 && largest(.many) > 1e-4)
    }

    @Test("numbers below the least normal one may become zero where they are flushed")
    func subnormals() throws {
        var precision = Self.float32
        precision.flushesSubnormals = true
        let opCase = OpCase("subnormals") { [$0.real([64]) { _ in Array(repeating: 0x1p-100, count: 64) } * 0x1p-35] }
        let found = try run(opCase, on: device(1, precision)).outputs[0][0].doubles
        #expect(found.contains(0) && found.contains { $0 != 0 })
        #expect(!(try run(opCase, on: device()).outputs[0][0].doubles.contains(0)))
    }

    @Test("zeros and infinities stay what they are")
    func special() throws {
        let opCase = OpCase("special") { [$0.real([3]) { _ in [0, .infinity, -.infinity] } * 2] }
        #expect(try run(opCase, on: device()).outputs == [[.double([0, .infinity, -.infinity])]])
    }

    @Test("recurrent states are rounded as they are stored")
    func states() throws {
        let opCase = OpCase("states") {
            let ones = $0.real([1, 1, 8]) { _ in Array(repeating: 1, count: 8) }
            let zero = $0.real([1, 1, 1]) { _ in [0] }
            let one = $0.real([1, 1]) { _ in [1] }
            let state = $0.graph.state("m", .recurrent, row: [1, 8, 8])
            let slots = $0.index(.slots, [0])
            return [$0.graph.apply(.gatedDeltaRule(state, scale: 1), ones, ones, ones, zero, one, slots)]
        }
        let exact = try run(opCase, on: ReferenceDevice()).states[0][..<64]
        let rounded = try run(opCase, on: device()).states[0][..<64]
        #expect(zip(rounded, exact).allSatisfy { abs($0 - $1) < 8 * unit } && Set(rounded).count == 64)
    }

    @Test("a half-precision cache keeps one of the two neighbours, without bias", arguments: [1, 2] as [UInt64])
    func cache(seed: UInt64) throws {
        let count = 1 << 14
        func stored(_ x: Float) throws -> [Double] {
            let opCase = OpCase("stored", stateType: .half) {
                let x = $0.real([1, count]) { _ in Array(repeating: x, count: count) }
                let cache = $0.graph.state("cache", .cache, row: [count])
                return [$0.graph.apply(.store(cache, cells: 1), x, $0.index(.cells, [0]))]
            }
            return try run(opCase, on: device(seed)).outputs[0][0].doubles
        }
        for (x, lower, upper) in [
            (1 + 0.25 * 0x1p-10, 1, 1 + 0x1p-10), (-3 - 0x1p-10, -3 - 0x1p-9, -3), (2 - 0x1p-12, 2 - 0x1p-10, 2),
            // Below the normal numbers, and above the largest.
            (0x1.4p-24, 0x1p-24, 0x1p-23), (0x1p-26, 0, 0x1p-24), (65512, 65504, .infinity),
        ] as [(Double, Double, Double)] {
            let found = try stored(Float(x))
            #expect(Set(found) == [lower, upper], "\(x)")
            let share = Double(found.count { $0 == upper }) / Double(count)
            let expected = upper.isInfinite ? 0.25 : (x - lower) / (upper - lower)
            // Four standard deviations.
            let deviation = (expected * (1 - expected) / Double(count)).squareRoot()
            #expect(abs(share - expected) < 4 * deviation, "\(x)")
        }
        for x in [0, 1, -0.5, 65504, 0x1p-24] as [Float] { #expect(Set(try stored(x)) == [Double(x)]) }
        #expect(Set(try stored(.infinity)) == [.infinity])
    }

    @Test("the CPU device errs no more than a few times what rounding does, in every op", arguments: opCases)
    func noiseFloor(opCase: OpCase) throws {
        let exact = try run(opCase, on: ReferenceDevice())
        let rounded = try (0..<4).map { try run(opCase, on: device($0)) }
        let found = try run(opCase, on: CPUDevice())
        for (step, outputs) in exact.outputs.enumerated() {
            for (output, expected) in outputs.enumerated() where expected.indices == nil {
                func error(_ run: DeviceRun) -> Double {
                    let pairs = zip(run.outputs[step][output].doubles, expected.doubles)
                    return rootMeanSquare(pairs.map { $0 == $1 ? 0 : $0 - $1 })
                }
                #expect(error(found) <= 4 * rootMeanSquare(rounded.map(error)), "output \(output) of step \(step)")
            }
        }
    }
}
