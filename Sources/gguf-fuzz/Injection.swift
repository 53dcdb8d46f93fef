import ArgumentParser
import Faults
import Fuzzing

/// Which fault is put into the device when a corpus file is run again.
struct Injection: ParsableArguments {
    @Option(help: ArgumentHelp(
        "A fault to put into cpu, or none. (default: the one with which the file was found, if any)",
        valueName: "fault"))
    var inject: String?

    /// - Throws: `UnknownFault`.
    func check() throws { _ = try fault(of: nil) }

    /// - Parameter entry: nil where there is no corpus file.
    /// - Throws: `UnknownFault`.
    func fault(of entry: CorpusEntry?) throws -> Fault? {
        let name = inject ?? entry?.found.fault
        return try name == "none" ? nil : name.map(FaultCatalogue.named)
    }
}
