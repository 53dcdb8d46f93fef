import Architectures
import Devices
import Foundation
import Inference
import ModelGraph
import Testing

@testable import Faults

@Suite("Faults")
struct FaultTests {
    /// Faults that a process survives, and that show in results. The others must not run here.
    static let survivable = FaultCatalogue.all.filter {
        ![.crash, .hang, .memory].contains($0.symptom) && !$0.isOfGradients
    }

    @Test("every fault has a name of its own, and says what it is")
    func namesAreUniqueAndWellFormed() {
        #expect(Set(FaultCatalogue.all.map(\.name)).count == FaultCatalogue.all.count)
        for fault in FaultCatalogue.all {
            #expect(fault.name.allSatisfy { $0.isLowercase || $0.isNumber || $0 == "-" }, "\(fault.name)")
            #expect(!fault.about.isEmpty && fault.fewestTokens > 0 && fault.extraLayers >= 0, "\(fault.name)")
        }
    }

    @Test("a fault is found by name; a name that is not there is answered with close ones")
    func faultsAreFoundByName() throws {
        #expect(try FaultCatalogue.named("window-off-by-one").id == "window-off-by-one")
        #expect(throws: UnknownFault.self) { try FaultCatalogue.named("nothing") }
        do {
            _ = try FaultCatalogue.named("window-off-by-two")
        } catch let error as UnknownFault {
            #expect(error.description.contains("close to it are"))
            #expect(error.close.contains("window-off-by-one"))
        }
    }

    @Test("a run can end in every way that there is a word for")
    func everySymptomOccurs() {
        #expect(Set(FaultCatalogue.all.map(\.symptom)) == Set(Fault.Symptom.allCases))
    }

    @Test("a faulty device says of itself what the device says")
    func faultyDeviceIsTheDeviceOtherwise() throws {
        let cpu = CPUDevice()
        let faulty = FaultyDevice(cpu, try FaultCatalogue.named("window-off-by-one"))
        #expect(faulty.name == cpu.name && faulty.summary == cpu.summary && faulty.precision == cpu.precision)
    }

    @Test(
        "nodes that run on their own, and values that cross on the host, are no fault by themselves",
        arguments: ArchitectureCatalog.all.map { $0.name })
    func cuttingChangesNoBit(_ name: String) throws {
        let cut = Fault("cut", "every other node runs on its own and as it should") { site in
            site.index % 2 == 0 ? .around { try $0.run() } : nil
        }
        let trial = try Trial(ArchitectureCatalog.named(name), seed: 5, budget: 4)
        let cpu = CPUDevice()
        #expect(try trial.rows(on: FaultyDevice(cpu, cut)) == trial.rows(on: cpu))
    }

    // Those left need a shape, a script or weights that are rarer.
    @Test("most faults show in any few models")
    func mostFaultsShowInAFewTrials() throws {
        var search = Search(Self.survivable)
        let few = Self.survivable.count / 4
        for type in ArchitectureCatalog.all where search.missing.count >= few {
            try search.run(Trial(type, seed: 0, budget: 7))
        }
        #expect(search.missing.count < few, "\(search.missing)")
    }

    // Takes minutes, and so is asked for by the number of trials of each architecture: 100 suffice.
    @Test(
        "every fault shows, and never with fewer tokens than it claims",
        .enabled(if: ProcessInfo.processInfo.environment["FAULT_TRIALS"] != nil))
    func everyFaultShowsWithItsFewestTokens() throws {
        let trials = ProcessInfo.processInfo.environment["FAULT_TRIALS"].flatMap(UInt64.init) ?? 0
        let budgets = [2, 1, 3, 2, 4, 5, 2, 9, 3, 17, 2, 33, 1, 7]
        var search = Search(Self.survivable)
        for seed in 0..<trials {
            for type in ArchitectureCatalog.all {
                try search.run(Trial(type, seed: seed, budget: budgets[Int(seed) % budgets.count]))
            }
        }
        for fault in Self.survivable {
            #expect(search.fewestTokens[fault.name] ?? 0 >= fault.fewestTokens, "\(fault.name)")
        }
    }
}
