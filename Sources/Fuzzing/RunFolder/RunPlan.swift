/// What a run is of, as `plan.json` of its folder says: written once, when the run begins.
///
/// A run goes on where everything but its machine, and what was found of that, is as it was; runs are merged where
/// everything but these and `shards` is the same.
public struct RunPlan: Hashable, Sendable, Codable {
    /// Of this program.
    public var version: String
    /// The SHA-256 of this program: another one may draw other cases.
    public var program: String
    public var seed: UInt64
    /// How many cases, of all shards together; nil: it is `seconds` that end the run.
    public var cases: UInt64?
    /// How long a shard takes.
    public var seconds: Double?
    /// Which of the `shardCount` shards are in the folder, from 1, in ascending order: one, or those that were merged.
    public var shards: [UInt64]
    public var shardCount: UInt64
    public var architectures: [String]
    public var checks: [String]
    /// The devices under test.
    public var devices: [String]
    public var engines: [EngineUnderTest]
    /// Other options that shape cases and verdicts, by their names: `inject`, `imitate`, `known`, `time-limit`,
    /// `memory-limit`, `in-process`.
    public var options: [String: String]
    /// Which cases have a line of their own in the log.
    public var log: LogDetail
    /// How devices of other engines than the builtin one compute, as probing has found it.
    public var probes: [ProbeTable]
    /// Where the run began; of merged runs, all of them.
    public var machines: [Machine]

    /// An engine, so that it can be told whether it is still the same.
    public struct EngineUnderTest: Hashable, Sendable, Codable {
        /// `builtin`, `llama`.
        public var name: String
        /// As `--engine` names it; where an engine is makes no other of it.
        public var option: String
        /// Its own; empty where it has none.
        public var version: String
        /// The SHA-256 of the program or libraries that it is; empty where it is this program.
        public var fingerprint: String
        /// What its devices under test say of themselves, by name.
        public var devices: [String: String]

        public init(
            name: String, option: String, version: String, fingerprint: String, devices: [String: String]
        ) {
            self.name = name
            self.option = option
            self.version = version
            self.fingerprint = fingerprint
            self.devices = devices
        }
    }

    /// Which cases have a line of their own.
    public enum LogDetail: String, Hashable, Sendable, Codable, CaseIterable {
        case all
        /// Those that fail; the others are counted.
        case failures
    }

    /// How a device computes, as `devices --probe` prints it.
    public struct ProbeTable: Hashable, Sendable, Codable {
        public var device: String
        public var rows: [Row]

        public struct Row: Hashable, Sendable, Codable {
            /// `products, Q4_K, 2–8 rows`
            public var subject: String
            /// `8-bit blocks of 256`
            public var found: String
            /// The greatest error of a row, as a part of its length; nil where it was not asked, or is not finite.
            public var error: Double?

            public init(subject: String, found: String, error: Double?) {
                self.subject = subject
                self.found = found
                self.error = error
            }
        }

        public init(device: String, rows: [Row]) {
            self.device = device
            self.rows = rows
        }
    }

    /// A computer.
    public struct Machine: Hashable, Sendable, Codable {
        public var name: String
        /// `Debian GNU/Linux 12 (bookworm)`
        public var system: String
        /// The model of its processor; empty where the system does not say.
        public var processor: String
        /// Logical ones.
        public var cores: Int

        public init(name: String, system: String, processor: String, cores: Int) {
            self.name = name
            self.system = system
            self.processor = processor
            self.cores = cores
        }
    }

    public init(
        version: String, program: String, seed: UInt64, cases: UInt64?, seconds: Double?, shard: UInt64 = 1,
        shardCount: UInt64 = 1, architectures: [String], checks: [String], devices: [String],
        engines: [EngineUnderTest], options: [String: String] = [:], log: LogDetail = .all, probes: [ProbeTable] = [],
        machines: [Machine] = []
    ) {
        self.version = version
        self.program = program
        self.seed = seed
        self.cases = cases
        self.seconds = seconds
        shards = [shard]
        self.shardCount = shardCount
        self.architectures = architectures
        self.checks = checks
        self.devices = devices
        self.engines = engines
        self.options = options
        self.log = log
        self.probes = probes
        self.machines = machines
    }
}
