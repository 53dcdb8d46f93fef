import Devices
import Testing

@testable import Inference

@Suite("Loaded weights") struct LoadedWeightsTests {
    private func loaded() throws -> LoadedWeights { LoadedWeights(try #require(Toy.few.first).model()) }

    @Test("devices of one owner share what is loaded, others do not")
    func sharing() throws {
        let weights = try loaded()
        let weight = try #require(weights.model.weights.first)
        let rounding = Rounding(seed: 1, precision: Precision(storage: .float32, accumulation: .float32))
        let exact = try weights.tensor(weight, on: ReferenceDevice())
        #expect(try weights.tensor(weight, on: ReferenceDevice(rounding: rounding)) === exact)
        let cpu = CPUDevice()
        let first = try weights.tensor(weight, on: cpu)
        #expect(try weights.tensor(weight, on: cpu) === first)
        #expect(try weights.tensor(weight, on: CPUDevice()) !== first)
    }

    @Test("a device is kept with what it loaded")
    func lifetime() throws {
        let weights = try loaded()
        weak var device: CPUDevice?
        do {
            let cpu = CPUDevice()
            device = cpu
            _ = try weights.tensor(try #require(weights.model.weights.first), on: cpu)
        }
        #expect(device != nil)
        withExtendedLifetime(weights) {}
    }
}
