import Architectures
import Devices
import Engines
import Faults
import GGUF
import Inference
import Testing

@testable import Fuzzing

@Suite("Sensitivity")
struct SensitivityTests {
    private func found(_ type: TensorType, _ probed: [String: Precision] = [:]) throws -> Sensitivity {
        let plan = FuzzPlan(
            seed: 1, architectures: [try ArchitectureCatalog.named("llama")], devices: ["cpu"], placeable: ["cpu"])
        return try Sensitivity(type, plan, cases: 8) { fault in
            let engine = BuiltinEngine(DeviceSet([ReferenceDevice(), CPUDevice(threads: 1)]), fault: fault)
            return EngineSet(oracle: engine, engines: [engine], probed: probed)
        }
    }

    @Test("small errors of exact products are caught, and only larger ones where operands are blocks of 8 bits")
    func thresholds() throws {
        let exact = try found(.q8_0), least = try #require(exact.least)
        #expect(exact.cases > 4 && exact.thresholds == exact.thresholds.sorted() && least < 1e-4)
        let coarse = try found(.q8_0, ["cpu": .ggmlCPU])
        #expect(coarse.cases == exact.cases && coarse.least ?? 1 > 30 * least)
    }
}
