import Devices
import Foundation

/// What cases came to, counted: as large for ten million as for ten thousand. Tallies of different cases can be added.
public struct Tally: Hashable, Sendable, Codable {
    public internal(set) var cases = 0
    /// By architecture and device.
    public internal(set) var cells: [Place: Cell] = [:]
    /// By the name of the check, on all devices together.
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
    public struct Place: Hashable, Sendable {
        public var architecture: String
        public var device: String

        public init(architecture: String, device: String) {
            self.architecture = architecture
            self.device = device
        }
    }

    /// Verdicts, counted.
    public struct Cell: Hashable, Sendable, Codable {
        public internal(set) var verdicts = 0
        public internal(set) var failures = 0
        public internal(set) var discards = 0
        /// Failures that known findings explain.
        public internal(set) var known = 0
        /// The largest error of a row, as a multiple of its noise floor, of all verdicts that passed.
        public internal(set) var worst: Double?

        public init() {}

        mutating func add(_ verdict: Verdict) {
            verdicts += 1
            switch verdict.outcome {
            case .passed: if let other = verdict.worst { worst = max(worst ?? 0, other) }
            case .failed: failures += 1
            case .known: known += 1
            case .discarded: discards += 1
            }
        }

        mutating func add(_ other: Cell) {
            verdicts += other.verdicts
            failures += other.failures
            discards += other.discards
            known += other.known
            worst = [worst, other.worst].compactMap { $0 }.max()
        }
    }

    /// How many verdicts had a worst error over its noise floor of which size.
    public struct NoiseHistogram: Hashable, Sendable, Codable {
        /// Bin *b* is of ratios from 2^b up to 2^(b+1); in the least there is what is below it, in the greatest what is
        /// above.
        public internal(set) var bins: [Int: Int] = [:]
        /// Verdicts without any error.
        public internal(set) var exact = 0
        public static let range = -16...40

        public init() {}

        mutating func add(_ ratio: Double) {
            guard ratio.isFinite else { return }
            if ratio <= 0 {
                exact += 1
            } else {
                let bin = Int(log2(ratio).rounded(.down))
                bins[min(max(bin, Self.range.lowerBound), Self.range.upperBound), default: 0] += 1
            }
        }

        mutating func add(_ other: NoiseHistogram) {
            bins.merge(other.bins, uniquingKeysWith: +)
            exact += other.exact
        }
    }

    public var verdicts: Int { cells.values.reduce(0) { $0 + $1.verdicts } }
    public var failures: Int { cells.values.reduce(0) { $0 + $1.failures } }
    public var discarded: Int { cells.values.reduce(0) { $0 + $1.discards } }

    mutating func add(_ record: CaseRecord) {
        cases += 1
        for verdict in record.verdicts {
            cells[Place(architecture: record.architecture, device: verdict.device), default: Cell()].add(verdict)
            if let check = record.check { checks[check.rawValue, default: Cell()].add(verdict) }
            switch verdict.outcome {
            case .passed, .failed: break
            case .known(let name): known[name, default: 0] += 1
            case .discarded(let words):
                // Layers and sizes do not make another reason.
                discards[words.replacing(/[0-9]+/, with: "N"), default: 0] += 1
            }
            if let worst = verdict.worst { noise[verdict.device, default: NoiseHistogram()].add(worst) }
            fallbacks.formUnion(verdict.fallbacks.map { "\(record.architecture): \($0)" })
        }
        coverage.add(record.features)
    }

    mutating func add(_ other: Tally) {
        cases += other.cases
        for (place, cell) in other.cells { cells[place, default: Cell()].add(cell) }
        for (check, cell) in other.checks { checks[check, default: Cell()].add(cell) }
        discards.merge(other.discards, uniquingKeysWith: +)
        known.merge(other.known, uniquingKeysWith: +)
        fallbacks.formUnion(other.fallbacks)
        for (device, histogram) in other.noise { noise[device, default: NoiseHistogram()].add(histogram) }
        coverage.add(other.coverage)
    }
}

/// `llama cpu`: names of architectures have no spaces.
extension Tally.Place: Codable, CodingKeyRepresentable {
    public var codingKey: any CodingKey { TextKey("\(architecture) \(device)") }

    public init?(codingKey: some CodingKey) {
        let parts = codingKey.stringValue.split(separator: " ", maxSplits: 1).map(String.init)
        guard parts.count == 2 else { return nil }
        self.init(architecture: parts[0], device: parts[1])
    }
}
