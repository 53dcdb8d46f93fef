import Architectures
import Devices
import Foundation
import Inference
import ModelGraph
import Testing

@testable import Faults

@Suite struct FaultTests {
    /// Faults that a process survives. The others must not run here.
    static let survivable = FaultCatalogue.all.filter { ![.crash, .hang, .memory].contains($0.symptom) }

    @Test func namesAreUniqueAndWellFormed() {
        #expect(Set(FaultCatalogue.all.map(\.name)).count == FaultCatalogue.all.count)
        for fault in FaultCatalogue.all {
            #expect(fault.name.allSatisfy { $0.isLowercase || $0.isNumber || $0 == "-" }, "\(fault.name)")
            #expect(!fault.about.isEmpty && fault.fewestTokens > 0 && fault.extraLayers >= 0, "\(fault.name)")
        }
    }

    @Test func faultsAreFoundByName() throws {
        #expect(try FaultCatalogue.named("window-off-by-one").id == "window-off-by-one")
        #expect(throws: UnknownFault.self) { try FaultCatalogue.named("nothing") }
        do {
            _ = try FaultCatalogue.named("window-off-by-two")
        } catch let error as UnknownFault {
            #expect(error.description.contains("close to it are"))
            #expect(error.close.contains("window-off-by-one"))
        }
    }

    @Test func everySymptomOccurs() {
        #expect(Set(FaultCatalogue.all.map(\.symptom)) == Set(Fault.Symptom.allCases))
    }

    @Test func faultyDeviceIsTheDeviceOtherwise() throws {
        let cpu = CPUDevice()
        let faulty = FaultyDevice(cpu, try FaultCatalogue.named("window-off-by-one"))
        #expect(faulty.name == cpu.name && faulty.summary == cpu.summary && faulty.precision == cpu.precision)
    }

    /// Nodes that run on their own, and values that cross on the host, must not be a fault by themselves.
    @Test(arguments: ArchitectureCatalog.all.map { $0.name })
    func cuttingChangesNoBit(_ name: String) throws {
        let cut = Fault("cut", "every other node runs on its own and as it should") { site in
            site.index % 2 == 0 ? .around { try $0.run() } : nil
        }
        let trial = try Trial(ArchitectureCatalog.named(name), seed: 5, budget: 4)
        let cpu = CPUDevice()
        #expect(try trial.rows(on: FaultyDevice(cpu, cut)) == trial.rows(on: cpu))
    }

    /// Most faults show in any few models; those left need a shape, a script or weights that are rarer.
    @Test func mostFaultsShowInAFewTrials() throws {
        var search = Search(Self.survivable)
        for (seed, budget) in [3, 9].enumerated() {
            for type in ArchitectureCatalog.all { try search.run(Trial(type, seed: UInt64(seed), budget: budget)) }
        }
        #expect(search.missing.count < Self.survivable.count / 4, "\(search.missing)")
    }

    /// Every fault, with as few tokens as it claims and never with fewer. Takes minutes, and so is asked for by the
    /// number of trials of each architecture: 100 suffice.
    @Test(.enabled(if: ProcessInfo.processInfo.environment["FAULT_TRIALS"] != nil))
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
            #expect(search.fewestTokens[fault.name] == fault.fewestTokens, "\(fault.name)")
        }
    }
}
