import ArgumentParser
import Devices
import Engines

struct ListDevices: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "devices",
        abstract: "List the devices that were found, and why others were not.",
        discussion: """
            Examples:
              gguf-fuzz devices
              gguf-fuzz devices --engine llama=/usr/local
            """)

    @OptionGroup var engines: EnginesUnderTest

    func run() throws {
        let found = try engines.makers(fault: nil).make().engines
        var table = TextTable(["device", "computes in", "what it is"])
        for device in found.flatMap(\.devices) {
            table.append(device.name, device.precision.words, device.summary)
        }
        table.print()
        for engine in found where !engine.version.isEmpty { print("\(engine.name): \(engine.version)") }
        for absence in found.flatMap(\.absences) { print("not found: \(absence)") }
    }
}

extension Precision {
    /// `float32; activations as the weights, gelu in float16`
    fileprivate var words: String {
        let sums = storage == accumulation ? "" : ", sums in \(accumulation.rawValue)"
        let others = [
            activations.map { _ in "activations as the weights" },
            products.map { "their products' sums in \($0.rawValue)" },
            gelu.flatMap { $0 == storage ? nil : "gelu in \($0.rawValue)" },
            fullAttention.map { "attention in \($0.rawValue)" }
                ?? attention.map { "attention in \($0.rawValue) where its cache is" },
        ].compactMap { $0 }
        return storage.rawValue + sums + (others.isEmpty ? "" : "; " + others.joined(separator: ", "))
    }
}
