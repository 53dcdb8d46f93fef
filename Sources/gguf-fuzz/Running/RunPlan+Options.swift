import Engines
import Foundation
import Fuzzing

extension RunPlan {
    /// What a run's folder says of a run.
    /// - Parameters:
    ///   - engines: that `makers` has made.
    ///   - folder: the one that options name.
    /// - Throws: `CommandError` for a file of an engine that cannot be read.
    init(
        _ options: RunOptions, _ plan: FuzzPlan, _ extent: FuzzRun.Extent, _ shard: Shard, _ makers: EngineMakers,
        _ engines: EngineSet, known: KnownFindings
    ) throws {
        let (cases, seconds): (UInt64?, Double?) = switch extent {
        case .cases(let count): (count, nil)
        case .time(let duration): (nil, duration.seconds)
        }
        var shaping: [String: String] = [:]
        shaping["inject"] = options.inject
        shaping["imitate"] = options.engines.imitate
        shaping["time-limit"] = options.engines.timeLimit?.description
        shaping["memory-limit"] = options.engines.memoryLimit?.description
        shaping["in-process"] = options.engines.inProcess ? "true" : nil
        shaping["known"] = known.findings.isEmpty ? nil : try FileBytes.sha256(of: known.findings.map(\.path))
        self.init(
            version: GGUFFuzz.version, program: try FileBytes.sha256(of: [Worker.executable]), seed: plan.seed,
            cases: cases, seconds: seconds, shard: shard.number, shardCount: shard.count,
            architectures: plan.architectures.map { $0.name }, checks: plan.checks.map(\.rawValue),
            devices: plan.devices,
            engines: try zip(makers.names, engines.engines).map { try EngineUnderTest($0, $1, plan.devices) },
            options: shaping, log: options.log ?? .all,
            probes: makers.probes.sorted { $0.key < $1.key }.map(ProbeTable.init), machines: [.current])
    }
}

extension RunPlan.EngineUnderTest {
    fileprivate init(_ name: EngineName, _ engine: any Engine, _ devices: [String]) throws {
        let own = engine.devices.filter { devices.contains($0.name) }
        self.init(
            name: engine.name, option: name.option, version: engine.version, fingerprint: try name.fingerprint(),
            devices: Dictionary(own.map { ($0.name, $0.summary) }) { first, _ in first })
    }
}

extension EngineName {
    /// The SHA-256 of the files that it is; empty where it is this program.
    fileprivate func fingerprint() throws -> String {
        switch self {
        case .builtin: ""
        case .llama(let prefix): try FileBytes.sha256(of: LlamaInstallation(prefix: prefix).libraries)
        // Of an interpreter, what it interprets is among the words.
        case .worker(let words):
            try FileBytes.sha256(of: words.filter { word in
                var isFolder: ObjCBool = false
                return FileManager.default.fileExists(atPath: word, isDirectory: &isFolder) && !isFolder.boolValue
            })
        }
    }
}

extension RunPlan.ProbeTable {
    fileprivate init(device: String, _ probe: Probe) {
        self.init(
            device: device,
            rows: probe.answers.map { answer in
                Row(
                    subject: answer.subject, found: answer.outcome.words,
                    error: answer.error.flatMap { $0.isFinite ? $0 : nil })
            })
    }
}
