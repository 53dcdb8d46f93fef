import ArgumentParser
import CSystem
import Devices
import Engines
import Faults
import Foundation
import Fuzzing
import Inference

/// What is tested, and what it may use.
struct EnginesUnderTest: ParsableArguments {
    @Option(help: ArgumentHelp(
        "An engine under test: builtin, llama=PREFIX, a llama.cpp with include and lib, or worker=PROGRAM, which "
            + "speaks the worker protocol; may be repeated. (default: builtin)",
        valueName: "engine"))
    var engine: [String] = []
    @Option(help: ArgumentHelp(
        "How long one answer of a worker process may take. (default: 60s, of llama.cpp, whose GPUs compile shaders, "
            + "180s; for results without end)", valueName: "time"))
    var timeLimit: TimeSpan?
    @Option(help: ArgumentHelp(
        "How much memory a worker process may use. (default: 4G; for results without end)", valueName: "bytes"))
    var memoryLimit: ByteCount?
    @Option(help: ArgumentHelp(
        "How cpu shall compute, to see whether that is recognised and right: a JSON file, or "
            + Imitation.names.joined(separator: ", ") + ".", valueName: "precision"))
    var imitate: String?
    @Flag(help: "Run the builtin engine in this process, as results do: faster, but a crash or a hang ends it.")
    var inProcess = false

    /// What this program and a worker can both hold of a model: bytes that its weights may take.
    var largestModel: Double { Case.largest(memory: memoryLimit?.bytes ?? WorkerCommand.Limits().memory) }

    mutating func fill(from other: EnginesUnderTest) {
        if engine.isEmpty { engine = other.engine }
        timeLimit = timeLimit ?? other.timeLimit
        memoryLimit = memoryLimit ?? other.memoryLimit
        imitate = imitate ?? other.imitate
        inProcess = inProcess || other.inProcess
    }

    /// - Parameters:
    ///   - fault: put into the builtin engine.
    ///   - devices: those that are needed; nil: all.
    /// - Throws: `CommandError` for what is no engine, `EngineStartError` for what is no llama.cpp.
    func makers(fault: Fault?, devices: [String]? = nil) throws -> EngineMakers {
        var names: [EngineName] = []
        for name in try (engine.isEmpty ? ["builtin"] : engine).map(EngineName.init) where !names.contains(name) {
            names.append(name)
        }
        var limits = WorkerCommand.Limits()
        limits.time = timeLimit?.duration ?? limits.time
        limits.memory = memoryLimit?.bytes ?? limits.memory
        var workers: [EngineName: WorkerCommand] = [:]
        for name in names {
            switch name {
            case .builtin: break
            case .worker(let words):
                workers[name] = WorkerCommand(
                    executable: words[0], arguments: Array(words.dropFirst()), limits: limits)
            case .llama(let prefix):
                var limits = limits
                // The first use of a shader on a software driver compiles it, which can take a minute.
                if timeLimit == nil { limits.time = .seconds(180) }
                workers[name] = try Worker.command(LlamaInstallation(prefix: prefix), limits: limits)
            }
        }
        return EngineMakers(
            names: names, workers: workers, imitated: try imitate.map(Imitation.init), fault: fault, devices: devices,
            isInProcess: inProcess, limits: limits)
    }
}

/// An engine, as `--engine` names it.
enum EngineName: Hashable, Sendable {
    case builtin
    /// A program and its arguments.
    case worker([String])
    /// A folder.
    case llama(String)

    /// What `--engine` says.
    var option: String {
        switch self {
        case .builtin: "builtin"
        case .worker(let words): "worker=" + words.joined(separator: " ")
        case .llama(let prefix): "llama=" + prefix
        }
    }

    /// - Throws: `CommandError`.
    init(_ text: String) throws {
        if text == "builtin" {
            self = .builtin
        } else if text.hasPrefix("worker=") {
            let words = text.dropFirst("worker=".count).split(separator: " ").map(String.init)
            guard !words.isEmpty else { throw CommandError("--engine \(text): names no program") }
            self = .worker(words)
        } else if text.hasPrefix("llama=") {
            let prefix = String(text.dropFirst("llama=".count))
            guard !prefix.isEmpty else { throw CommandError("--engine \(text): names no folder") }
            self = .llama(prefix)
        } else {
            throw CommandError("--engine \(text): no such engine; there are builtin, llama=PREFIX and worker=PROGRAM")
        }
    }
}

/// Makes the engines under test: each thread of a run has its own.
struct EngineMakers: Sendable {
    var names: [EngineName]
    /// How all but the builtin engine are started.
    var workers: [EngineName: WorkerCommand] = [:]
    /// How the builtin engine's cpu computes instead.
    var imitated: Imitation?
    var fault: Fault?
    /// Those that are needed; nil: all.
    var devices: [String]?
    var isInProcess: Bool
    var limits: WorkerCommand.Limits
    /// Of the builtin engine's cpu in this process.
    var threads = 1
    /// What probing found, for all that are made.
    private let probing = Probing()

    /// The reference is always the builtin engine's. Where that is not under test itself, it is in this process: what
    /// is believed may be trusted not to crash.
    /// - Throws: `EngineStartError`.
    func make() throws -> EngineSet {
        if !isInProcess { csystem_keep_freed_memory() }
        let engines = try engines()
        let own = names.firstIndex(of: .builtin).map { engines[$0] }
        let oracle = own ?? BuiltinEngine(DeviceSet([ReferenceDevice()]))
        let probed = try probing.results {
            try engines.flatMap { engine in
                try engine.devices.filter { asked($0.name, of: engine) }.map { device in
                    Terminal.progress("asking \(device.name) how it computes")
                    var probe = Probe(engine, device, oracle: BuiltinEngine(DeviceSet([ReferenceDevice()])))
                    try probe.run()
                    return (device.name, probe)
                }
            }
        }
        return EngineSet(oracle: oracle, engines: engines, probed: probed.mapValues(\.precision))
    }

    /// How its own devices compute, the program knows, if they are not made to do otherwise.
    private func asked(_ device: String, of engine: any Engine) -> Bool {
        engine.name != "builtin" || imitated != nil && device == "cpu"
    }

    /// The engines, which nobody has asked anything yet.
    func engines() throws -> [any Engine] {
        try names.map { try workers[$0].map(WorkerEngine.init) ?? builtin(devices) }
    }

    /// What was asked and answered, by device, when engines were made.
    var probes: [String: Probe] { probing.results { [] } }

    private func builtin(_ devices: [String]?) throws -> any Engine {
        isInProcess
            ? BuiltinEngine(
                .forCases(threads: threads) { $0 == EngineSet.reference || devices?.contains($0) ?? true },
                imitating: imitated?.precision, fault: fault)
            : try WorkerEngine(Worker.command(imitated: imitated, fault: fault, limits: limits, devices: devices))
    }
}

extension DeviceSet {
    /// The devices for cases, which are one thread each and run side by side: threads of the software Vulkan driver
    /// would only stand in their way. An environment that says how many it has goes before.
    static func forCases(threads: Int = 1, where isWanted: (String) -> Bool = { _ in true }) -> DeviceSet {
        if threads == 1 { setenv("LP_NUM_THREADS", "0", 0) }
        // On cpu runs what others cannot.
        return .all(threads: threads) { $0 == "cpu" || isWanted($0) }
    }
}

/// Devices are asked once, by whoever needs to know first.
private final class Probing: @unchecked Sendable {
    private let lock = NSLock()
    private var found: [String: Probe]?

    func results(_ ask: () throws -> [(String, Probe)]) rethrows -> [String: Probe] {
        try lock.withLock {
            if let found { return found }
            let asked = Dictionary(try ask()) { first, _ in first }
            found = asked
            return asked
        }
    }
}
