import Foundation

/// The discontinuous decisions that one session on the reference makes, in the order in which it makes them.
///
/// Which decisions there are, and in which order, depends on the model and the script alone, never on the values:
/// decision `i` of an exact and of a rounded run is the same one, however it falls. So one can be told how to fall. A
/// log belongs to one device object that one session uses; otherwise the decisions of several sessions are mixed.
public final class DecisionLog: @unchecked Sendable {
    private let lock = NSLock()
    private var made: [Decision] = []
    private var prescribed: [[Int]]

    /// - Parameter prescribed: what the first decisions take, whatever the scores; those after them are free.
    public init(prescribed: [[Int]] = []) { self.prescribed = prescribed }

    public var decisions: [Decision] { lock.withLock { made } }

    func restart(prescribed: [[Int]]) {
        lock.withLock {
            made.removeAll()
            self.prescribed = prescribed
        }
    }

    func append(_ decision: Decision) { lock.withLock { made.append(decision) } }

    /// What the next decision takes; nil: it is free.
    var next: [Int]? { lock.withLock { made.count < prescribed.count ? prescribed[made.count] : nil } }
}

/// A choice of the best of several candidates, experts or groups of them, of which some are left.
public struct Decision: Hashable, Sendable {
    public struct Candidate: Hashable, Sendable {
        public var index: Int
        public var score: Double

        public init(index: Int, score: Double) {
            self.index = index
            self.score = score
        }
    }

    /// The candidates that are taken, ascending.
    public var taken: [Int]
    /// Of those that are taken the few of least score, the least first.
    public var least: [Candidate]
    /// Of those that are not the few of greatest score, the greatest first.
    public var greatest: [Candidate]

    public init(taken: [Int], least: [Candidate], greatest: [Candidate]) {
        self.taken = taken
        self.least = least
        self.greatest = greatest
    }

    /// How many of each are kept.
    public static let contenders = 3

    /// What the scores of those few would have it take, the earlier of equals: what is taken, unless that was
    /// prescribed.
    public var unprescribed: [Int] {
        let contenders = (least + greatest).sorted { ($0.score, $1.index) > ($1.score, $0.index) }
        let others = taken.filter { index in !least.contains { $0.index == index } }
        return (others + contenders.prefix(least.count).map(\.index)).sorted()
    }

    /// The score of the last that is taken, less the best that is not: below 0 where the decision was prescribed and
    /// the scores would have it otherwise.
    public var margin: Double {
        guard let last = least.first, let best = greatest.first else { return .infinity }
        return last.score - best.score
    }
}
