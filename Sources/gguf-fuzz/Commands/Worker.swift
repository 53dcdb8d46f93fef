import ArgumentParser
import Engines
import Faults
import Foundation
import Inference

/// The other end of the worker protocol: what `run` and others start for each of their threads.
struct Worker: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Serve the builtin engine on standard input and output.", shouldDisplay: false)

    @Option(help: "The fault to put into cpu.")
    var inject: String?

    func run() throws {
        // An interrupt from the keyboard goes to the whole process group; when this process ends is up to its
        // supervisor, whose end of the pipe says it.
        for number in [SIGINT, SIGTERM] { signal(number, SIG_IGN) }
        let fault = try inject.map(FaultCatalogue.named)
        WorkerServer.serve(BuiltinEngine(.all(), fault: fault), version: GGUFFuzz.version)
    }

    static func command(fault: Fault?, limits: WorkerCommand.Limits) -> WorkerCommand {
        WorkerCommand(
            executable: executable, arguments: ["worker"] + (fault.map { ["--inject", $0.name] } ?? []), limits: limits)
    }

    /// This very program.
    private static var executable: String {
        #if os(Linux)
            // Even where its file has been moved, or replaced by a later build.
            "/proc/self/exe"
        #else
            Bundle.main.executablePath ?? CommandLine.arguments[0]
        #endif
    }
}
