import ArgumentParser
import CSystem
import Engines
import Faults
import Foundation
import Fuzzing
import Inference

/// The other end of the worker protocol: what `run` and others start for each of their threads.
struct Worker: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Serve an engine on standard input and output.", shouldDisplay: false)

    @Option(help: "The fault to put into cpu.")
    var inject: String?
    @Option(help: "How cpu computes instead.")
    var imitate: String?
    @Option(help: "The devices under test, separated by commas, or all; the reference is always there.")
    var device = NameList.all

    @Option(help: "Serve llama.cpp instead, by this bridge.")
    var llamaBridge: String?
    @Option(help: "Where llama.cpp's libraries are.")
    var llamaLibraries: String?

    func run() throws {
        // An interrupt from the keyboard goes to the whole process group, and so does the end of the terminal; when
        // this process ends is up to its supervisor, whose end of the pipe says it.
        for number in [SIGINT, SIGTERM, SIGHUP] { signal(number, SIG_IGN) }
        csystem_keep_freed_memory()
        if let llamaBridge {
            let engine = try LlamaEngine(bridge: llamaBridge, libraryFolder: llamaLibraries ?? "")
            WorkerServer.serve(engine, version: engine.version, survives: engine.survivesFork)
        }
        let devices = DeviceSet.forCases { $0 == EngineSet.reference || device.names?.contains($0) ?? true }
        WorkerServer.serve(
            BuiltinEngine(
                devices, imitating: try imitate.map(Imitation.init)?.precision,
                fault: try inject.map(FaultCatalogue.named)), version: GGUFFuzz.version)
    }

    /// - Parameter devices: nil: all of this machine.
    static func command(
        imitated: Imitation? = nil, fault: Fault?, limits: WorkerCommand.Limits, devices: [String]? = nil
    ) -> WorkerCommand {
        var arguments = ["worker"]
        if let imitated { arguments += ["--imitate", imitated.text] }
        if let fault { arguments += ["--inject", fault.name] }
        if let devices { arguments += ["--device", devices.joined(separator: ",")] }
        return WorkerCommand(executable: executable, arguments: arguments, limits: limits)
    }

    /// A worker for the llama.cpp of an installation.
    /// - Throws: `EngineStartError`.
    static func command(_ llama: LlamaInstallation, limits: WorkerCommand.Limits) throws -> WorkerCommand {
        let bridge = try llama.bridge { path in
            Terminal.note("gguf-fuzz: compiling the bridge to \(llama.prefix), once: \(path)")
        }
        return WorkerCommand(
            executable: executable,
            arguments: ["worker", "--llama-bridge", bridge, "--llama-libraries", llama.libraryFolder], limits: limits,
            environment: [
                // An assertion's line says it all, and a debugger's backtrace takes seconds.
                "GGML_NO_BACKTRACE": "1",
                // Cases run side by side: threads that spin, or those of a software driver, stand in their way.
                "OMP_WAIT_POLICY": "passive", "LP_NUM_THREADS": "0",
            ].merging(llama.environment) { $1 })
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
