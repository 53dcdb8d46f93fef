import ArgumentParser
import Devices
import Engines
import Foundation
import Fuzzing
import GGUF

struct ListDevices: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "devices",
        abstract: "List the devices that were found, and why others were not; ask them how they compute.",
        discussion: """
            A device of another engine is asked how it computes before it is judged: small models show what products, \
            attention and functions are rounded to, for each type of weights and of caches, and for one row, few and \
            many. --probe prints what was found, with the greatest error of a row as a part of its length.

            Examples:
              gguf-fuzz devices
              gguf-fuzz devices --engine llama=/usr/local --probe
              gguf-fuzz devices --imitate tensor-cores --probe
            """)

    @OptionGroup var engines: EnginesUnderTest
    @Flag(help: "Ask devices of other engines, and of --imitate, how they compute.")
    var probe = false
    @Option(help: ArgumentHelp(
        "With --probe: write how each device computes to this JSON file; --imitate takes one of one device.",
        valueName: "file"))
    var json: String?

    func validate() throws {
        guard probe || json == nil else { throw ValidationError("--json needs --probe") }
    }

    func run() throws {
        let makers = try engines.makers(fault: nil)
        let found = try makers.engines()
        var table = TextTable(["device", "computes in", "what it is"])
        for device in found.flatMap(\.devices) {
            table.append(device.name, device.precision.words, device.summary)
        }
        table.print()
        for engine in found where !engine.version.isEmpty { print("\(engine.name): \(engine.version)") }
        for engine in found where !engine.traits.settings.isEmpty {
            let names = Setting.allCases.filter(engine.traits.settings.contains).map(\.rawValue)
            print("settings of \(engine.name): \(names.joined(separator: ", "))")
        }
        for engine in found {
            guard let kinds = engine.traits.adapters, !kinds.isEmpty else { continue }
            print("adapters of \(engine.name): \(kinds.map(\.rawValue).joined(separator: ", "))")
        }
        for absence in found.flatMap(\.absences) { print("not found: \(absence)") }
        if probe { try printProbes(makers) }
    }

    private func printProbes(_ makers: EngineMakers) throws {
        _ = try makers.make()
        let probes = makers.probes.sorted { $0.key < $1.key }
        Terminal.progress("")
        if probes.isEmpty { print("\nno device of another engine is there to be asked") }
        for (name, probe) in probes {
            print("\n\(name), asked how it computes")
            var table = TextTable(["", "found", "error"])
            for answer in probe.answers {
                let error = answer.error.map { String(format: "%.1e", $0) } ?? ""
                table.append(answer.subject, answer.outcome.words, error)
            }
            table.print()
        }
        guard let json else { return }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        let precisions = Dictionary(probes.map { ($0.key, $0.value.precision) }) { first, _ in first }
        try ReplacementFile.save(encoder.encode(precisions), to: json)
    }
}

extension Precision {
    /// `float32, sums in float64`
    fileprivate var words: String {
        storage.rawValue + (storage == accumulation ? "" : ", sums in \(accumulation.rawValue)")
    }
}
