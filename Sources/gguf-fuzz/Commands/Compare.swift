import ArgumentParser
import Architectures
import Devices
import Foundation
import GGUF
import Inference

struct Compare: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Draw toys of every architecture, run them on every device, and print one table.",
        discussion: """
            For each architecture and device: the largest error of a position over all cases, as normalised \
            mean squared error (NMSE) against the reference device, and the mean time of a case, from \
            drawing its weights to its results.

            Examples:
              gguf-fuzz compare
              gguf-fuzz compare --arch kimi-linear,jamba --device vulkan0 --cases 100
              gguf-fuzz compare --arch llama --seed 1 --case 5     one case again
            """)

    @Option(help: "Architectures, separated by commas, or all.")
    var arch = NameList.all
    @Option(help: "Devices, separated by commas, or all.")
    var device = NameList.all
    @Option(help: "Seed of the random numbers.")
    var seed: UInt64 = 1
    @Option(help: "Models of each architecture.")
    var cases: UInt64 = 10
    @Option(name: .customLong("case"), help: "Only this case of the seed.")
    var index: UInt64?
    @Option(help: "Type of the large matrices.")
    var type = MatrixType.f32
    @Option(help: "Weights that are legal but unlike a trained model's; may be repeated.")
    var adversity: [Adversity] = []
    @Option(help: "Largest NMSE of a position.")
    var tolerance = 1e-6
    @Option(help: "Cases that run side by side.")
    var jobs = ProcessInfo.processInfo.activeProcessorCount
    @Option(help: ArgumentHelp("Write one JSON record a case and device to this file.", valueName: "file"))
    var json: String?
    @OptionGroup var engine: EngineOptions

    func validate() throws {
        guard cases > 0, cases <= UInt64(Int32.max) else { throw ValidationError("--cases \(cases): must be 1 to \(Int32.max)") }
        guard (1...1024).contains(jobs) else { throw ValidationError("--jobs \(jobs): must be 1 to 1024") }
        guard tolerance >= 0 else { throw ValidationError("--tolerance \(tolerance): must not be negative") }
    }

    func run() throws {
        let architectures = try arch.architectures()
        let set = DeviceSet.all(threads: engine.threads)
        let reference = try set.device("reference")
        let devices = try device.devices(of: set).filter { $0.name != reference.name }
        guard !devices.isEmpty else { throw CommandError("--device \(device): nothing to compare with the reference") }
        let runner = CaseRunner(
            seed: seed, type: type.type, adversities: adversity, tolerance: tolerance, devices: set,
            placements: try [Placement(reference.name)] + devices.map(engine.placement), isStrict: engine.strict)
        let log = try json.map(CaseLog.init(path:))

        Interrupt.watch()
        let start = ContinuousClock.now
        var report = ComparisonReport(seed: seed, architectures: architectures.map { $0.name }, devices: [reference.name] + devices.map(\.name))
        report.printTitles()
        let indices = index.map { [$0] } ?? Array(0..<cases)
        let work = architectures.flatMap { architecture in indices.map { (architecture, $0) } }
        try Parallel.inOrder(work, jobs: jobs, isCancelled: { Interrupt.isRequested }) { (architecture, index) -> CaseResult in
            runner.run(architecture, index)
        } consume: { (result: CaseResult) in
            try log?.append(result)
            report.add(result, isLast: result.index == indices.last)
        }
        report.printSummary(absences: set.absences, wasInterrupted: Interrupt.isRequested, duration: .now - start)
        if report.failures > 0 { throw ExitStatus.propertyFailed }
    }
}
