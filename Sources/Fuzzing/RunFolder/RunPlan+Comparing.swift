import Foundation

extension RunPlan {
    /// What makes another run of this plan, on one line; nil: nothing does. Which machines run
    /// it, and how their devices compute, does not count: a shard may go on elsewhere.
    /// - Parameters:
    ///   - other: that of a folder.
    ///   - ignoringShards: whether it may be of other shards, with logs of other detail.
    func difference(from other: RunPlan, ignoringShards: Bool = false) -> String? {
        func list(_ names: [String]) -> String {
            let first = names.prefix(3).joined(separator: ",")
            return names.count <= 4 ? names.joined(separator: ",") : "\(first), … \(names.count)"
        }
        func shardWords(_ plan: RunPlan) -> String { "\(list(plan.shards.map(String.init)))/\(plan.shardCount)" }
        let values: [(name: String, own: String?, other: String?, isSame: Bool)] = [
            ("gguf-fuzz", version, other.version, version == other.version),
            ("the program", String(program.prefix(12)), String(other.program.prefix(12)), program == other.program),
            ("--seed", "\(seed)", "\(other.seed)", seed == other.seed),
            ("--cases", cases.map(String.init), other.cases.map(String.init), cases == other.cases),
            ("--time", seconds.map { "\($0)s" }, other.seconds.map { "\($0)s" }, seconds == other.seconds),
            (
                "--shard", shardWords(self), shardWords(other),
                shardCount == other.shardCount && (ignoringShards || shards == other.shards)
            ),
            ("--arch", list(architectures), list(other.architectures), architectures == other.architectures),
            ("--check", list(checks), list(other.checks), checks == other.checks),
            ("--device", list(devices), list(other.devices), devices == other.devices),
        ]
        if let value = values.first(where: { !$0.isSame }) {
            return "\(value.name) is \(value.other ?? "not given") there, \(value.own ?? "not given") here"
        }
        for (own, other) in zip(engines, other.engines) where !own.isSame(as: other) {
            return "engine \(other.words) there, \(own.words) here"
        }
        let names = Set(options.keys).union(other.options.keys).sorted()
        if let name = names.first(where: { options[$0] != other.options[$0] }) {
            return "--\(name) is \(other.options[name] ?? "not given") there, \(options[name] ?? "not given") here"
        }
        if !ignoringShards, log != other.log { return "--log is \(other.log.rawValue) there, \(log.rawValue) here" }
        guard engines.count == other.engines.count else {
            return "has \(other.engines.count) engines there, \(engines.count) here"
        }
        return nil
    }
}

extension RunPlan.EngineUnderTest {
    /// Where it is makes no difference.
    fileprivate func isSame(as other: Self) -> Bool {
        name == other.name && version == other.version && fingerprint == other.fingerprint
    }

    /// `llama ggml 0.27.0 (abc) 1f2e3d4c5b6a`
    fileprivate var words: String {
        [name, version, String(fingerprint.prefix(12))].filter { !$0.isEmpty }.joined(separator: " ")
    }
}

extension RunPlan.Machine {
    /// This one.
    public static var current: Self {
        let name = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
            buffer.initialize(repeating: 0)
            guard let start = buffer.baseAddress else { return "" }
            gethostname(start, buffer.count - 1)
            return String(cString: start)
        }
        let information = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
        let model = information.split(separator: "\n").first { $0.hasPrefix("model name") }?.split(separator: ":").last
        return Self(
            name: name, system: ProcessInfo.processInfo.operatingSystemVersionString,
            processor: model.map { $0.trimmingCharacters(in: .whitespaces) } ?? "",
            cores: ProcessInfo.processInfo.activeProcessorCount)
    }
}
