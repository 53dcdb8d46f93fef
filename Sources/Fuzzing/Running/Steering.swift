import Foundation

/// Draws more often what is seldom drawn: of a few candidates for a case, the one that promises most that is new.
///
/// What that is depends on the plan and the number of the case alone, so that case *i* of a seed stays the same on
/// every machine and in every shard. Of each architecture some cases are drawn to see how likely each pair of features
/// is; a pair of likelihood p is still new before the architecture's case t with a probability of (1 − p)ᵗ, and a
/// candidate promises the sum of these over its pairs.
final class Steering: @unchecked Sendable {
    /// Of a case; the first is the one that is drawn without steering.
    static let candidates: UInt64 = 4
    /// Cases of an architecture by which likelihoods are judged.
    private static let samples = 64

    private let lock = NSLock()
    private var coverages: [UInt64: Coverage] = [:]

    /// - Parameters:
    ///   - features: of the candidates.
    ///   - architecture: the number of theirs.
    ///   - turn: how many cases of the architecture come before.
    ///   - sample: draws the features of one case more of the architecture.
    /// - Returns: the number of the candidate that promises most; of equals, the first.
    func choice(
        among features: [[String]], architecture: UInt64, turn: UInt64, sample: (Int) throws -> [String]
    ) rethrows -> Int {
        let coverage = try coverage(of: architecture, sample)
        // By how often a pair was sampled.
        let stillNew = (0...Self.samples).map { count in
            pow(1 - (Double(count) + 0.5) / Double(Self.samples + 1), Double(turn))
        }
        var best = (index: 0, promise: -1.0)
        for (index, features) in features.enumerated() {
            let promise = Self.promise(of: features, coverage, stillNew)
            if promise > best.promise { best = (index, promise) }
        }
        return best.index
    }

    private func coverage(of architecture: UInt64, _ sample: (Int) throws -> [String]) rethrows -> Coverage {
        if let known = lock.withLock({ coverages[architecture] }) { return known }
        var coverage = Coverage()
        for number in 0..<Self.samples { coverage.add(try sample(number)) }
        lock.withLock { coverages[architecture] = coverage }
        return coverage
    }

    private static func promise(of features: [String], _ coverage: Coverage, _ stillNew: [Double]) -> Double {
        let numbers = features.map { coverage.number(of: $0) }
        var promise = 0.0
        for (index, one) in numbers.enumerated() {
            for other in numbers[(index + 1)...] { promise += stillNew[coverage.count(of: one, and: other)] }
        }
        return promise
    }
}

/// How much sooner pairs of features are seen with steering than without.
public struct SteeringGain: Hashable, Sendable, Codable {
    /// Of which both were drawn.
    public let cases: UInt64
    /// Different pairs that were drawn with steering.
    public let steered: Int
    /// And without.
    public let plain: Int
    /// Cases with steering that draw as many pairs as all of those without; nil: more than `cases`.
    public let sooner: UInt64?

    /// Draws the first cases of a plan in both ways.
    /// - Throws: `MetadataError` or `GraphError` for a defect of an architecture's domains.
    public init(_ plan: FuzzPlan, cases: UInt64) throws {
        var (with, without) = (plan, plan)
        with.isSteered = true
        without.isSteered = false
        var plain = Coverage(), steered = Coverage()
        for index in 0..<cases { plain.add(try without.draw(index).case.features) }
        var sooner: UInt64?
        for index in 0..<cases {
            steered.add(try with.draw(index).case.features)
            if sooner == nil, steered.pairCount >= plain.pairCount { sooner = index + 1 }
        }
        self.cases = cases
        self.steered = steered.pairCount
        self.plain = plain.pairCount
        self.sooner = sooner
    }
}
