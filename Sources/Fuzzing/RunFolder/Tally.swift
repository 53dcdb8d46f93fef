import Foundation

/// What cases came to, counted: as large for ten million as for ten thousand. Tallies of different cases can be added.
public struct Tally: Hashable, Sendable, Codable {
    public internal(set) var cases = 0
    /// By architecture and device, each pair once.
    public internal(set) var cells: [Place: Cell] = [:]
    /// By the name of the check, on all devices.
    public internal(set) var checks: [String: Cell] = [:]
    /// Verdicts that say nothing, by reason.
    public internal(set) var discards: [String: Int] = [:]
    /// How often each known finding explained a failure, by its name.
    public internal(set) var known: [String: Int] = [:]
    /// Ops that ran elsewhere than they were placed.
    public internal(set) var fallbacks: Set<String> = []
    /// The errors of worst rows over their noise floors, by device.
    public internal(set) var noise: [String: NoiseHistogram] = [:]
    public internal(set) var coverage = Coverage()

    public init() {}

    /// A place of the table of architectures and devices.
    public struct Place: Hashable, Sendable, Codable {
        public var architecture: String
        public var device: String

        public init(architecture: String, device: String) {
            self.architecture = architecture
            self.device = device
        }
    }

    /// Verdicts, counted.
    public struct Cell: Hashable, Sendable, Codable {
        public var verdicts = 0
        public var failures = 0
        public var discards = 0
        /// Failures that known findings explain.
        public var known = 0
        /// The largest error of a row, as a multiple of its noise floor, of all verdicts that passed.
        public var worst: Double?

        public init() {}
    }

    /// How many verdicts had a worst error over its noise floor of which size.
    public struct NoiseHistogram: Hashable, Sendable, Codable {
        /// Bin *b* is of ratios from 2^b up to 2^(b+1); the least is `lowest` and below, the greatest `highest` and above.
        public internal(set) var bins: [Int: Int] = [:]
        /// Verdicts without any error.
        public internal(set) var exact = 0
        public static let lowest = -16
        public static let highest = 40

        public init() {}
    }

    public var verdicts: Int { cells.values.reduce(0) { $0 + $1.verdicts } }
    public var failures: Int { cells.values.reduce(0) { $0 + $1.failures } }
    public var discarded: Int { cells.values.reduce(0) { $0 + $1.discards } }
}
