import ArgumentParser
import Engines
import Faults
import Foundation
import Fuzzing
import GGUF
import Inference

struct FaultsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "faults",
        abstract: "Put each known fault into the cpu device, and report how soon it is found.",
        discussion: """
            A fault is a defect that a real backend has had. For each: after how many cases it is found, how many \
            cases shrinking judged and how long it took, and the layers and tokens of the smallest case.

            That case is the smallest if it has the fewest layers and tokens with which the fault can show in any \
            model, or if none of many random cases of its architecture and check that have fewer fails.

            Exit status: 0 every fault was found, 1 some were not, 2 bad input or usage.

            Examples:
              gguf-fuzz faults
              gguf-fuzz faults --fault window-off-by-one,race-once-in-fifty
              gguf-fuzz faults --list
              gguf-fuzz faults -o Fuzz/faults.md
              gguf-fuzz faults --steer
              gguf-fuzz faults --sensitivity --imitate ggml-cpu --type Q4_K,Q8_0 --cases 1000
            """)

    @Option(help: "Faults, separated by commas, or all.")
    var fault = NameList.all
    @Flag(help: "Only list the faults.")
    var list = false
    @Flag(help: "Instead: how small an error of one tensor's products is still caught, for each type of weights.")
    var sensitivity = false
    @Option(help: "With --sensitivity: types of weights, separated by commas, or all.")
    var type = NameList.all
    @Option(help: "Seed of the random numbers.")
    var seed: UInt64 = 1
    @Flag(help: "Draw more often what is seldom drawn.")
    var steer = false
    @Option(help: "The most cases that look for a fault.")
    var cases: UInt64 = 2000
    @Option(help: "Faults that are tried side by side.")
    var jobs = ProcessInfo.processInfo.activeProcessorCount
    @Option(help: ArgumentHelp(
        "How cpu shall compute besides: a JSON file, or \(Imitation.names.joined(separator: ", ")).",
        valueName: "precision"))
    var imitate: String?
    @Option(
        name: [.customShort("o"), .customLong("output")],
        help: ArgumentHelp("Write the table to this Markdown file too.", valueName: "file"))
    var output: String?

    func validate() throws {
        guard cases > 0 else { throw ValidationError("--cases \(cases): must be 1 or more") }
        guard (1...1024).contains(jobs) else { throw ValidationError("--jobs \(jobs): must be 1 to 1024") }
    }

    func run() throws {
        let faults = try fault.names?.map(FaultCatalogue.named) ?? FaultCatalogue.all
        if list {
            var table = TextTable(["fault", "what goes wrong"])
            for fault in faults { table.append(fault.name, fault.about) }
            return table.print()
        }
        var plan = FuzzPlan(seed: seed, devices: ["cpu"], placeable: [EngineSet.reference, "cpu"])
        plan.isSteered = steer
        if sensitivity { return try printSensitivity(plan) }
        // Hangs are waited for as long as this, again and again while they are shrunk.
        let limits = WorkerCommand.Limits(time: .seconds(2), memory: 1 << 30)
        let table = FaultTable(seed: seed, cases: cases, isSteered: steer)
        let imitated = try imitate.map(Imitation.init)
        Interrupt.watch(.endingEngines)
        table.printTitles()
        try FaultTrial.run(
            faults, plan, .init(cases: cases), jobs: jobs, isCancelled: { Interrupt.isRequested }
        ) { fault in
            let makers = EngineMakers(
                names: [.builtin], imitated: imitated, fault: fault, devices: ["cpu"], isInProcess: false,
                limits: limits)
            return try makers.make()
        } _: { trial in
            table.add(trial)
            Terminal.progress("\(table.count) of \(faults.count) faults")
        }
        Terminal.progress("")
        for line in table.summary { print(line) }
        if steer { print(try SteeringGain(plan, cases: cases).words) }
        if let output { try ReplacementFile.save(table.markdown.utf8, to: output) }
        if let status = Interrupt.status { throw ExitCode(status) }
        if table.found < table.count { throw ExitStatus.propertyFailed }
    }

    private func printSensitivity(_ plan: FuzzPlan) throws {
        let types = try type.names?.map { name in
            guard let type = WeightRecipe.drawnTypes.first(where: { $0.name == name.uppercased() }) else {
                throw CommandError("--type \(name): is drawn for no weights")
            }
            return type
        } ?? WeightRecipe.drawnTypes
        let imitated = try imitate.map(Imitation.init)
        let makers = EngineMakers(
            names: [.builtin], imitated: imitated, devices: ["cpu"], isInProcess: true, limits: WorkerCommand.Limits())
        let probed = try makers.make().probed
        Terminal.progress("")
        Interrupt.watch(.endingEngines)
        print(
            "products with one tensor multiplied by 1 + ε: "
                + "the least ε that \(cases) cases catch, and what half of them do")
        var table = TextTable(["type", "cases", "least", "median"])
        table.rightAligned = [1, 2, 3]
        for type in types where Interrupt.status == nil {
            Terminal.progress(type.name)
            let found = try Sensitivity(type, plan, cases: cases, isCancelled: { Interrupt.isRequested }) { fault in
                let engine = BuiltinEngine(
                    .forCases { [EngineSet.reference, "cpu"].contains($0) }, imitating: imitated?.precision,
                    fault: fault)
                return EngineSet(oracle: engine, engines: [engine], probed: probed)
            }
            func text(_ error: Double?) -> String { error.map { String(format: "%.2g", $0) } ?? "above 1" }
            table.append(type.name, "\(found.cases)", text(found.least), text(found.median))
        }
        Terminal.progress("")
        table.print()
        if let status = Interrupt.status { throw ExitCode(status) }
    }
}
