import ArgumentParser
import Engines
import Faults
import Foundation
import Fuzzing
import Inference

struct FaultsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "faults",
        abstract: "Inject each known fault into the cpu device, and report how soon it is found.")

    @Option(help: "Faults, separated by commas, or all.")
    var fault = NameList.all
    @Option var seed: UInt64 = 1
    @Option var cases: UInt64 = 2000

    func run() throws {
        let faults = try fault.names?.map(FaultCatalogue.named) ?? FaultCatalogue.all
        let set = DeviceSet([DeviceSet.all().devices[0], DeviceSet.all().devices[1]])
        let plan = FuzzPlan(seed: seed, devices: ["cpu"], placeable: ["reference", "cpu"])
        var found: [Double] = [], evaluations: [Double] = [], smallest = 0
        for fault in faults {
            guard fault.symptom == .results || fault.symptom == .error || fault.symptom == .flakiness else { continue }
            let trial = try FaultTrial(fault, plan, EngineSet(BuiltinEngine(set, fault: fault)), limit: cases)
            if let count = trial.cases { found.append(Double(count)) }
            if let shrunk = trial.shrunk { evaluations.append(Double(shrunk.evaluations)) }
            if trial.isSmallest { smallest += 1 }
            Terminal.line("\(fault.name.padded(to: 40)) \(trial.cases.map(String.init) ?? "-") eval \(trial.shrunk.map { "\($0.evaluations)" } ?? "-") layers \(trial.shrunk?.case.layers ?? 0)/\(trial.fewest?.layers ?? 0) tokens \(trial.shrunk?.case.tokens ?? 0)/\(trial.fewest?.tokens ?? 0) \(Format.duration(trial.duration)) \(trial.shrunk?.failure.signature.description ?? "") \(trial.isSmallest ? "" : "NOT SMALLEST")")
        }
        func median(_ x: [Double]) -> Double { x.isEmpty ? 0 : x.sorted()[x.count / 2] }
        Terminal.line("found \(found.count) of \(faults.count), median \(median(found)); evaluations median \(median(evaluations)); smallest \(smallest)")
    }
}
