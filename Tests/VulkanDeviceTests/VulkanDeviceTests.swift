import Devices
import GGUF
import ModelGraph
import Testing

@testable import VulkanDevice

@Test("there is a Vulkan device, or a reason why there is none")
func devicesOrReason() {
    let (devices, absence) = VulkanDevice.all()
    #expect(!devices.isEmpty || absence?.isEmpty == false)
    for (index, device) in devices.enumerated() { #expect(device.name == "vulkan\(index)") }
}

@Suite(.needsVulkan)
struct VulkanDeviceTests {
    @Test("a product with a weight uses the weight in its own type", arguments: TestDevice.allCases, [1, 3, 37])
    func matmul(on device: TestDevice, tokens: Int) throws {
        for type in [TensorType.f32, .f16, .bf16, .q8_0, .q4_0, .q4_K, .iq2_XS, .f64] {
            let (n, k) = (67, type == .f64 ? 45 : max(96, 2 * type.blockSize))
            let w = reals(n * k, seed: 1), x = reals(tokens * k, seed: 2)
            let run = try Run(on: device.device(), weights: ["w": (type, w)]) {
                $0.input(.pooling, [tokens, k]).matmul($0.weight("w", [n, k], .projection))
            }
            let y = try run([.pooling: .float(x)])

            var decoded = w
            if type != .f64 {
                var bytes = [UInt8](repeating: 0, count: try #require(type.byteCount(rowLength: k, rows: n)))
                try bytes.withUnsafeMutableBytes { bytes in
                    try w.withUnsafeBufferPointer { try type.encode($0, into: bytes) }
                    try decoded.withUnsafeMutableBufferPointer {
                        try type.decode(UnsafeRawBufferPointer(bytes), into: $0)
                    }
                }
            }
            for t in 0..<tokens {
                for row in 0..<n {
                    let products = (0..<k).map { Double(x[t * k + $0]) * Double(decoded[row * k + $0]) }
                    let error = abs(y[t * n + row] - products.reduce(0, +))
                    #expect(error < 1e-6 * products.reduce(0) { $0 + abs($1) }, "\(type) \(t) \(row)")
                }
            }
        }
    }

    @Test("an index outside its table is an error, not a read", arguments: TestDevice.allCases, [-1, 5, Int32.max])
    func indexOutside(on device: TestDevice, index: Int32) throws {
        let run = try Run(on: device.device(), weights: ["table": (.f32, reals(10, seed: 1))]) {
            $0.weight("table", [5, 2], .embedding).rows($0.tokens)
        }
        #expect(try run([.tokens: .index([4, 0, 1])]) == reals(10, seed: 1).rows(of: 2, [4, 0, 1]))
        #expect(throws: DeviceError.self) { try run([.tokens: .index([0, index, 1])]) }
    }

    @Test("a half cache rounds to nearest even on every write", arguments: TestDevice.allCases)
    func halfCache(on device: TestDevice) throws {
        let values: [Float] = [
            1.00048828125, 1.00146484375, 65519, 65520, 3e-8, 2.9802322e-8, 8.940697e-8, -6.1e-5, -0.0, 1e9, 0.1,
            -7.77e-6,
        ]
        let run = try Run(on: device.device(), stateType: .half) { g in
            let cache = g.state("cache", .cache, row: [4])
            return g.apply(.store(cache, cells: 3), g.input(.pooling, [3, 4]), g.cells)
        }
        let stored = try run([.pooling: .float(values), .cells: .index([2, 0, 1])])
        let expected = [4, 8, 0].flatMap { values[$0..<$0 + 4].map { Double(HalfPrecision.rounded($0)) } }
        #expect(stored == expected)
        #expect(try run.states[0].read(rows: 3) == expected)
    }

    @Test("rows of a state are zero at first, and are written, copied and cleared", arguments: TestDevice.allCases)
    func stateRows(on device: TestDevice) throws {
        let run = try Run(on: device.device(), stateRows: 3) { g in
            g.apply(.load(g.state("cache", .cache, row: [3]), cells: 3))
        }
        let rows = run.states[0]
        #expect(try rows.read(rows: 3) == [Double](repeating: 0, count: 9))
        try rows.write([1, 2, 3, 4, 5, 6])
        try rows.copy(row: 1, to: 2)
        try rows.clear(row: 0)
        #expect(try rows.read(rows: 3) == [0, 0, 0, 4, 5, 6, 4, 5, 6])
        #expect(try run() == rows.read(rows: 3))
        #expect(throws: DeviceError.self) { try rows.copy(row: 0, to: 3) }
        #expect(throws: DeviceError.self) { try rows.write([1]) }
    }

    @Test("a segment follows its weights and states when they change", arguments: TestDevice.allCases)
    func rebinding(on device: TestDevice) throws {
        let device = try device.device()
        var run = try Run(on: device, weights: ["w": (.f32, [1, 2])]) { g in
            let x = g.input(.pooling, [3, 2]) * g.weight("w", [2], .scale)
            return x + g.apply(.tokenShift(g.state("s", .recurrent, row: [2])), x, g.slots)
        }
        let inputs: [Input: HostTensor] = [.pooling: .float([1, 1, 2, 2, 3, 3]), .slots: .index([0, 0, 1])]
        #expect(try run(inputs) == [1, 2, 3, 6, 3, 6])
        #expect(try run(inputs) == [3, 6, 3, 6, 6, 12])
        let other = try Run(on: device, weights: ["w": (.f16, [10, 0])]) {
            $0.input(.pooling, [3, 2]) * $0.weight("w", [2], .scale)
        }
        run.weights = other.weights
        run.states = [try device.allocate(run.graph.states[0], rows: 2, type: .full)]
        #expect(try run(inputs) == [10, 0, 30, 0, 30, 0])
    }

    @Test("memory is reused: many cases cost no more than one", arguments: TestDevice.allCases)
    func reuse(on device: TestDevice) throws {
        for round in 0..<300 {
            let run = try Run(on: device.device(), weights: ["w": (.f32, reals(64, seed: round))]) {
                $0.input(.pooling, [1, 64]) * $0.weight("w", [64], .scale)
            }
            let y = try run([.pooling: .float([Float](repeating: 2, count: 64))])
            #expect(y == reals(64, seed: round).map { Double($0 * 2) })
        }
    }
}

extension [Float] {
    func rows(of size: Int, _ indices: [Int]) -> [Double] {
        indices.flatMap { self[$0 * size..<($0 + 1) * size].map(Double.init) }
    }
}
