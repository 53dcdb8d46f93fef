import ArgumentParser
import Engines
import Faults
import Foundation
import Fuzzing
import Inference

/// The other end of the worker protocol: what `run` and others start for each of their threads.
struct Worker: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Serve the builtin engine on standard input and output.", shouldDisplay: false)

    @Option(help: "The fault to put into cpu.")
    var inject: String?
    @Option(help: "The devices under test, separated by commas, or all; the reference is always there.")
    var device = NameList.all

    func run() throws {
        // An interrupt from the keyboard goes to the whole process group; when this process ends is up to its
        // supervisor, whose end of the pipe says it.
        for number in [SIGINT, SIGTERM] { signal(number, SIG_IGN) }
        let devices = DeviceSet.forCases { $0 == EngineSet.reference || device.names?.contains($0) ?? true }
        WorkerServer.serve(
            BuiltinEngine(devices, fault: try inject.map(FaultCatalogue.named)), version: GGUFFuzz.version)
    }

    /// - Parameter devices: nil: all of this machine.
    static func command(fault: Fault?, limits: WorkerCommand.Limits, devices: [String]? = nil) -> WorkerCommand {
        var arguments = ["worker"]
        if let fault { arguments += ["--inject", fault.name] }
        if let devices { arguments += ["--device", devices.joined(separator: ",")] }
        return WorkerCommand(executable: executable, arguments: arguments, limits: limits)
    }

    /// This very program.
    static var executable: String {
        #if os(Linux)
            // Even where its file has been moved, or replaced by a later build.
            "/proc/self/exe"
        #else
            Bundle.main.executablePath ?? CommandLine.arguments[0]
        #endif
    }
}
