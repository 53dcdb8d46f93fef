import DeviceTestSupport
import Foundation
import GGUF
import Testing

@testable import Devices
@testable import ModelGraph

@Suite("CPU device") struct CPUDeviceTests {
    private let device = CPUDevice()

    @Test("every op agrees with the reference, on every instruction set", arguments: CPUKernelTable.all.map(\.name))
    func agreement(_ name: String) throws {
        let kernels = try #require(CPUKernelTable.all.first { $0.name == name })
        let device = CPUDevice(threads: 1, kernels: kernels)
        let reference = ReferenceDevice()
        for opCase in opCases {
            let deviation = try run(opCase, on: device).deviation(from: run(opCase, on: reference))
            // A stored half may round the other way: half a unit of its ten bits.
            let tolerance = opCase.stateType == .half ? 2e-3 : 5e-6
            #expect(deviation < tolerance, "\(opCase)")
        }
    }

    @Test("the number of threads changes no bit")
    func threads() throws {
        let big = [
            OpCase("a large product") { [$0.real([37, 300]).matmul($0.weight([333, 300], .f16))] },
            OpCase("large attention") {
                let q = $0.real([90, 7, 64]), k = $0.real([300, 7, 64]), v = $0.real([300, 7, 64])
                let mask = $0.real([90, 300]) { _ in Array(repeating: 0, count: 90 * 300) }
                return [$0.graph.apply(.attention(Attention(scale: 0.1, valueSize: 64)), q, k, v, mask)]
            },
            OpCase("a large product of experts") {
                let x = $0.real([40, 1, 256])
                let experts = $0.index(.tokens, [40, 2], below: 3)
                return [$0.graph.apply(.expertMatmul, x, $0.weight([3, 200, 256], .q8_0), experts)]
            },
        ]
        for opCase in big {
            let expected = try run(opCase, on: device).outputs
            for threads in [2, 3, 5] {
                #expect(
                    try run(opCase, on: CPUDevice(threads: threads)).outputs == expected,
                    "\(opCase), \(threads) threads")
            }
        }
    }

    @Test("a large product as the only output comes in pieces, first columns first, which are the whole bit for bit")
    func pieces() throws {
        let opCase = OpCase("logits of a large vocabulary") {
            [$0.real([3, 64]).matmul($0.weight([70_001, 64], .q8_0))]
        }
        for threads in [1, 2] {
            let device = CPUDevice(threads: threads)
            let whole = try #require(run(opCase, on: device).outputs.first?.first).floats
            var rows: [[Float]] = [[], [], []]
            var pieces = 0
            let weights = try opCase.weights.map { try $0.map(device.load) }
            let executable = try device.compile(opCase.segment)
            try executable.run(weights: weights, states: [], inputs: opCase.steps[0]) { first, piece in
                let columns = piece.count / 3
                for row in 0..<3 {
                    #expect(rows[row].count == first)
                    rows[row] += piece.floats[row * columns..<(row + 1) * columns]
                }
                pieces += 1
            }
            #expect(pieces > 1 && rows.flatMap { $0 } == whole, "\(threads) threads")
        }
    }

    @Test("a row does not depend on the rows beside it", arguments: weightTypes)
    func rowsAlone(_ type: TensorType) throws {
        var values: [Float] = []
        let size = 3 * max(32, type.blockSize)
        let weight = (0..<37 * size).map { Float($0 % 19) - 9 }
        let all = OpCase("rows together \(type)") {
            values = $0.draw(11 * size, in: -1...1)
            return [$0.real([11, size]) { _ in values }.matmul($0.weight([37, size], type, weight))]
        }
        let together = try run(all, on: device).outputs[0][0].floats
        for row in 0..<11 {
            let alone = OpCase("row alone \(type) \(row)") {
                let x = $0.real([1, size]) { _ in Array(values[row * size..<(row + 1) * size]) }
                return [x.matmul($0.weight([37, size], type, weight))]
            }
            #expect(try run(alone, on: device).outputs[0][0].floats == Array(together[row * 37..<(row + 1) * 37]))
        }
    }

    @Test("cells that nobody may see change no bit of attention")
    func hiddenCells() throws {
        // Cell 5 is seen by no token, and neither is any beyond the first 23.
        func attention(cells: Int, hidden: Float) -> OpCase {
            OpCase("attention over hidden cells") {
                let q = $0.real([3, 2, 40]), k = $0.draw(70 * 40, in: -1...1), v = $0.draw(70 * 40, in: -1...1)
                func isHidden(_ cell: Int) -> Bool { cell == 5 || cell >= 23 }
                func rows(_ drawn: [Float]) -> [Float] {
                    (0..<cells * 40).map { isHidden($0 / 40) ? hidden : drawn[$0] }
                }
                let keys = $0.real([cells, 1, 40]) { _ in rows(k) }, values = $0.real([cells, 1, 40]) { _ in rows(v) }
                let mask = $0.real([3, cells]) { _ in (0..<3 * cells).map { isHidden($0 % cells) ? -.infinity : 0 } }
                return [$0.graph.apply(.attention(Attention(scale: 0.2, valueSize: 40)), q, keys, values, mask)]
            }
        }
        let expected = try run(attention(cells: 23, hidden: 0), on: device).outputs
        for cells in [23, 24, 33, 70] {
            for hidden in [1, .infinity, .nan] as [Float] {
                #expect(
                    try run(attention(cells: cells, hidden: hidden), on: device).outputs == expected,
                    "\(cells), \(hidden)")
            }
        }
    }

    @Test("a half cache holds what half precision has")
    func halfCache() throws {
        let values: [Float] = [
            1, -0.1, 65504, 65519.9, 65520, -1e9, 6.1035156e-5, 6.1e-5, 5.96e-8, 2.98e-8, 2.99e-8, 0, -0.0, .infinity,
            1.0004883, 1.0014648, 2049, 2051, .nan,
        ]
        let state = try device.allocate(
            State(id: 0, name: "cache", kind: .cache, row: [values.count]), rows: 2, type: .half)
        try state.write(values.map(Double.init))
        for (kept, value) in zip(try state.read(rows: 1), values) {
            let expected = Double(HalfPrecision.rounded(value))
            #expect(kept == expected || kept.isNaN && expected.isNaN, "\(value)")
        }
        #expect(throws: DeviceError.self) { try state.clear(row: 2) }
        #expect(throws: DeviceError.self) { try state.copy(row: 0, to: -1) }
        #expect(throws: DeviceError.self) { try state.read(rows: 3) }
        #expect(throws: DeviceError.self) { try state.write([1, 2]) }
    }

    @Test("indices from outside are checked")
    func indices() throws {
        let bad = [
            OpCase("row beyond the table") { [$0.weight([5, 3]).rows($0.index(.tokens, [2]) { _ in [4, 5] })] },
            OpCase("row below the table") { [$0.weight([5, 3]).rows($0.index(.tokens, [2]) { _ in [-1, 0] })] },
            OpCase("expert beyond the last") {
                [$0.graph.apply(
                    .expertMatmul, $0.real([1, 1, 4]), $0.weight([3, 2, 4]), $0.index(.tokens, [1, 1]) { _ in [3] })]
            },
            OpCase("expert to take beyond the last") {
                [$0.graph.apply(.takeExperts, $0.real([1, 3]), $0.index(.tokens, [1, 1]) { _ in [3] })]
            },
            OpCase("cell beyond the cache", stateRows: 4) {
                let x = $0.real([1, 3]), cell = $0.index(.cells, [1]) { _ in [4] }
                return [$0.graph.apply(.store($0.graph.state("k", .cache, row: [3]), cells: 2), x, cell)]
            },
            OpCase("more cells than the cache has", stateRows: 4) {
                [$0.graph.apply(.load($0.graph.state("k", .cache, row: [3]), cells: 5), [])]
            },
            OpCase("slot beyond the state", stateRows: 4) {
                let x = $0.real([1, 3]), slot = $0.index(.slots, [1]) { _ in [4] }
                return [$0.graph.apply(.tokenShift($0.graph.state("s", .recurrent, row: [3])), x, slot)]
            },
        ]
        for opCase in bad {
            #expect(throws: DeviceError.self, "\(opCase)") { try run(opCase, on: device) }
        }
    }

    @Test("inputs and weights that do not fit are refused")
    func mismatches() throws {
        let opCase = OpCase("a product") { [$0.real([2, 3]).matmul($0.weight([4, 3]))] }
        let executable = try device.compile(opCase.segment)
        let weights = try opCase.weights.map { try $0.map(device.load) }
        let input = opCase.steps[0]
        #expect(throws: DeviceError.self) { try executable.run(weights: weights, states: [], inputs: []) }
        #expect(throws: DeviceError.self) { try executable.run(weights: weights, states: [], inputs: [.float([1])]) }
        #expect(throws: DeviceError.self) {
            try executable.run(weights: weights, states: [], inputs: [.index(Array(repeating: 0, count: 6))])
        }
        #expect(throws: DeviceError.self) { try executable.run(weights: [nil, nil], states: [], inputs: input) }
        #expect(throws: DeviceError.self) {
            let wrong = try device.load(tensor("weight1", [3, 4], .f32, Array(repeating: 0, count: 12)))
            return try executable.run(weights: [nil, wrong], states: [], inputs: input)
        }
        #expect(try executable.run(weights: weights, states: [], inputs: input).count == 1)
    }

    @Test("bytes may be big-endian, or lie anywhere", arguments: weightTypes)
    func layouts(_ type: TensorType) throws {
        let opCase = OpCase("a product \(type)") {
            let size = max(32, type.blockSize), weight = $0.weight([5, size], type)
            return [$0.real([3, size]).matmul(weight), weight.rows($0.index(.tokens, [2], below: 5))]
        }
        let expected = try run(opCase, on: device).outputs[0]
        let data = try #require(opCase.weights.compactMap { $0 }.first)
        let bytes = data.bytes.withBytes { Array($0) }
        // Some types have no other order.
        let swapped = try? TensorData(
            name: data.name, shape: data.shape, type: type, byteOrder: .big,
            bytes: TensorBytes(count: bytes.count) { copy in
                copy.copyBytes(from: bytes)
                try type.swapBytes(copy)
            })
        var shifted = data
        let holder = TensorBytes(
            count: bytes.count + 1) { UnsafeMutableRawBufferPointer(rebasing: $0[1...]).copyBytes(from: bytes) }
        shifted.bytes = holder.withBytes { TensorBytes(UnsafeRawBufferPointer(rebasing: $0[1...]), owner: holder) }

        for variant in [swapped, shifted].compactMap({ $0 }) {
            let weights = try opCase.weights.map { try $0 == nil ? nil : device.load(variant) }
            let executable = try device.compile(opCase.segment)
            #expect(try executable.run(weights: weights, states: [], inputs: opCase.steps[0]) == expected)
        }
    }

    @Test("a weight whose bytes do not make its elements does not load")
    func sizes() throws {
        let bytes = TensorBytes(count: 210) { $0.initializeMemory(as: UInt8.self, repeating: 0) }
        #expect(throws: DeviceError.self) { try device.load(
            TensorData(name: "w", shape: [1, 256], type: .f32, bytes: bytes)) }
    }

    @Test(
        "functions are exact to a few units in the last place", arguments: CPUKernelTable.all.map(\.name),
        Unary.allCases)
    func functions(_ name: String, _ function: Unary) throws {
        let kernels = try #require(CPUKernelTable.all.first { $0.name == name })
        let opCase = OpCase("accuracy of \(function)") {
            [$0.real([8001]) { _ in (0..<8001).map { Float($0 - 4000) / 256 } }(function)]
        }
        let results = try run(opCase, on: CPUDevice(threads: 1, kernels: kernels)).outputs[0][0].floats
        let inputs = opCase.steps[0][0].doubles
        func geluArgument(_ x: Double) -> Double { 2 * (2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x) }
        var worst = 0.0
        for (x, y) in zip(inputs, results) {
            let sigmoid = 1 / (1 + exp(-x))
            let expected =
                switch function {
                case .silu: x * sigmoid
                case .gelu: x / (1 + exp(-geluArgument(x)))
                case .geluErf: x / 2 * erfc(-x / 2.squareRoot())
                case .relu: max(x, 0)
                case .squaredReLU: max(x, 0) * max(x, 0)
                case .sigmoid: sigmoid
                case .tanh: tanh(x)
                case .exp: exp(x)
                case .softplus: max(x, 0) + log1p(exp(-abs(x)))
                case .rootOfSoftplus: (max(x, 0) + log1p(exp(-abs(x)))).squareRoot()
                case .erf: erf(x)
                case .step: x > 0 ? 1.0 : 0.0
                }
            // An error of the argument of exp, which grows with it, is no fault of exp.
            let scale =
                switch function {
                case .gelu: 1 + abs(geluArgument(x))
                case .geluErf: 1 + x * x / 2
                default: 1.0
                }
            worst = max(
                worst, abs(Double(y) - expected) / Double(max(Float(abs(expected)).ulp, .leastNormalMagnitude)) / scale)
        }
        #expect(worst < 4)
    }
}
