import DeviceTestSupport
import Devices
import GGUF
import ModelGraph
import Testing

@Suite("Reference: errors") struct ReferenceErrorTests {
    private func failure(_ opCase: OpCase) -> String? {
        do {
            _ = try run(opCase, on: ReferenceDevice())
            return nil
        } catch {
            return (error as? DeviceError)?.description
        }
    }

    @Test(
        "an index that points nowhere is an error that names the op and the index",
        arguments: [-1, 4, Int(Int32.max), Int(Int32.min)])
    func indices(index: Int) {
        #expect(
            failure(OpCase("rows") { [$0.weight([4, 2]).rows($0.index(.tokens, [index]))] })
                == "reference: rows: row \(index) is not in 0 ..< 4")
        #expect(
            failure(
                OpCase("experts") {
                    let x = $0.real([1, 1, 2])
                    return [
                        $0.graph.apply(
                            .expertMatmul, x, $0.weight([4, 3, 2]), $0.index(.tokens, [1, 1]) { _ in [index] })
                    ]
                }) == "reference: expertMatmul: expert \(index) is not in 0 ..< 4")
        #expect(
            failure(
                OpCase("take") {
                    let x = $0.real([1, 4])
                    return [$0.graph.apply(.takeExperts, x, $0.index(.tokens, [1, 1]) { _ in [index] })]
                }) == "reference: takeExperts: expert \(index) is not in 0 ..< 4")
        #expect(
            failure(
                OpCase("store") {
                    let x = $0.real([1, 2])
                    return [
                        $0.graph.apply(
                            .store($0.graph.state("c", .cache, row: [2]), cells: 2), x, $0.index(.cells, [index]))
                    ]
                }) == "reference: store: cell \(index) is not in 0 ..< 4")
        #expect(
            failure(
                OpCase("shift") {
                    let x = $0.real([1, 2])
                    $0.graph.layer = 3
                    return [
                        $0.graph.apply(
                            .tokenShift($0.graph.state("s", .recurrent, row: [2])), x, $0.index(.slots, [index]))
                    ]
                }) == "reference: layer 3: tokenShift: slot \(index) is not in 0 ..< 4")
    }

    @Test("more cells than the cache has")
    func cells() {
        let opCase = OpCase("load") { [$0.graph.apply(.load($0.graph.state("c", .cache, row: [2]), cells: 5), [])] }
        #expect(failure(opCase) == "reference: load: count of rows 5 is not in 0 ..< 5")
    }

    @Test("inputs that do not fit, and weights that are not supplied")
    func supplies() throws {
        let opCase = OpCase("sum") { [$0.real([2]) + $0.weight([2])] }
        let device = ReferenceDevice()
        let executable = try device.compile(opCase.segment)
        let weights = try opCase.weights.map { try $0.map(device.load) }
        func failure(_ weights: [(any DeviceTensor)?], _ inputs: [HostTensor]) -> String? {
            do {
                _ = try executable.run(weights: weights, states: [], inputs: inputs)
                return nil
            } catch {
                return "\(error)"
            }
        }
        #expect(failure(weights, [.float([1, 2])]) == nil)
        #expect(failure(weights, []) == "reference: 0 inputs for a segment that has 1")
        #expect(failure(weights, [.float([1])]) == "reference: an input of 1 elements is not real [2]")
        #expect(failure(weights, [.index([1, 2])]) == "reference: an input of 2 elements is not real [2]")
        #expect(failure([nil, nil], [.float([1, 2])])?.hasSuffix("was not supplied") == true)
    }

    @Test("a weight whose bytes do not make its elements does not load")
    func sizes() throws {
        let device = ReferenceDevice()
        let data = TensorData(
            name: "w", shape: [512], type: .q6_K,
            bytes: TensorBytes(count: 210) { $0.initializeMemory(as: UInt8.self, repeating: 0) })
        #expect(throws: DeviceError.self) { try device.load(data) }
        let short = TensorData(
            name: "w", shape: [2], type: .f32,
            bytes: TensorBytes(count: 4) { $0.initializeMemory(as: UInt8.self, repeating: 0) })
        #expect(throws: DeviceError.self) { try device.load(short) }
    }
}
