/// What a run came to.
public struct FuzzReport: Sendable {
    public let plan: FuzzPlan
    /// Until the last case was judged; what is cut down after that takes time of its own.
    public internal(set) var duration = Duration.zero
    public internal(set) var wasInterrupted = false
    /// How many cases ran side by side in the end; nil: it was not measured how many should.
    public internal(set) var measuredJobs: Int?
    public private(set) var cases = 0
    public private(set) var cells: [Place: Cell] = [:]
    /// In the order of the cases that showed them.
    public internal(set) var findings: [Finding] = []
    /// Verdicts that say nothing, by reason.
    public private(set) var discards: [String: Int] = [:]
    /// How often each known finding explained a failure, by its name.
    public private(set) var known: [String: Int] = [:]
    /// Ops that ran elsewhere than they were placed.
    public private(set) var fallbacks: Set<String> = []
    /// The features that were seen, numbered: a case has hundreds of pairs of them.
    private var features: [String: Int] = [:]
    private var pairs: Set<FeaturePair> = []

    /// A cell of the table.
    public struct Place: Hashable, Sendable {
        public var architecture: String
        public var device: String

        public init(architecture: String, device: String) {
            self.architecture = architecture
            self.device = device
        }
    }

    public struct Cell: Hashable, Sendable {
        public var verdicts = 0
        public var failures = 0
        public var discards = 0
        /// Failures that known findings explain.
        public var known = 0
        /// The largest error of a row, as a multiple of its noise floor, of all verdicts that passed.
        public var worst: Double?
    }

    private struct FeaturePair: Hashable {
        var first: Int
        var second: Int
    }

    init(plan: FuzzPlan) { self.plan = plan }

    public var verdicts: Int { cells.values.reduce(0) { $0 + $1.verdicts } }
    public var failures: Int { cells.values.reduce(0) { $0 + $1.failures } }
    public var discarded: Int { cells.values.reduce(0) { $0 + $1.discards } }
    /// Features that occurred in a case.
    public var featureCount: Int { features.count }
    /// Pairs of features that occurred together in a case.
    public var pairCount: Int { pairs.count }

    mutating func add(_ record: CaseRecord) {
        cases += 1
        for verdict in record.verdicts {
            let place = Place(architecture: record.architecture, device: verdict.device)
            var cell = cells[place, default: Cell()]
            cell.verdicts += 1
            switch verdict.outcome {
            case .passed: if let worst = verdict.worst { cell.worst = max(cell.worst ?? 0, worst) }
            case .failed: cell.failures += 1
            case .known(let name):
                cell.known += 1
                known[name, default: 0] += 1
            case .discarded(let words):
                // Layers and sizes do not make another reason.
                let reason = words.replacing(/[0-9]+/, with: "N")
                cell.discards += 1
                discards[reason, default: 0] += 1
            }
            cells[place] = cell
            fallbacks.formUnion(verdict.fallbacks.map { "\(record.architecture): \($0)" })
        }
        let numbers = record.features.map { number(of: $0) }.sorted()
        for (index, first) in numbers.enumerated() {
            for second in numbers[(index + 1)...] { pairs.insert(FeaturePair(first: first, second: second)) }
        }
    }

    private mutating func number(of feature: String) -> Int {
        let number = features[feature] ?? features.count
        features[feature] = number
        return number
    }
}
