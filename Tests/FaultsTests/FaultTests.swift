import Architectures
import Faults
import Foundation
import Testing

@Suite struct FaultTests {
    /// Faults that a process survives.
    static let survivable = FaultCatalogue.all.filter { ![.crash, .hang, .memory].contains($0.symptom) }

    @Test func namesAreUnique() {
        #expect(Set(FaultCatalogue.all.map(\.name)).count == FaultCatalogue.all.count)
        #expect(FaultCatalogue.all.count >= 90)
    }

    @Test(.enabled(if: ProcessInfo.processInfo.environment["FAULT_TRIALS"] != nil))
    func everyFaultShowsWithItsFewestTokens() throws {
        let environment = ProcessInfo.processInfo.environment
        let trials = Int(environment["FAULT_TRIALS"] ?? "") ?? 0
        let names = environment["FAULTS"]?.split(separator: ",").map(String.init)
        let archs = environment["ARCHS"]?.split(separator: ",").map(String.init)
        let budgets = environment["BUDGETS"]?.split(separator: ",").compactMap { Int($0) } ?? [2, 1, 3, 2, 4, 5, 2, 9, 3, 17, 2, 33]
        let faults = Self.survivable.filter { names?.contains($0.name) ?? true }
        var search = Search(faults)
        for index in 0..<trials {
            for type in ArchitectureCatalog.all where archs?.contains(type.name) ?? true {
                do {
                    try search.run(Trial(type, seed: UInt64(index), budget: budgets[index % budgets.count]), times: 3)
                } catch { print("trial", type.name, index, error) }
            }
        }
        for fault in faults {
            guard let finding = search.findings[fault.name] else { continue }
            let mark = finding.found.isEmpty ? "MISSING" : finding.fewestTokens != fault.fewestTokens ? "TOKENS" : ""
            print("fault", fault.name, finding.trials, finding.fewestTokens, "declared", fault.fewestTokens, mark, Set(finding.found).sorted().prefix(4))
        }
        #expect(search.missing == [])
    }
}
