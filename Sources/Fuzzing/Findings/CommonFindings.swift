import Foundation

/// Of each architecture of a plan the known findings that cover more than a fifth of its cases, of which some are drawn
/// to see, once the first of them is asked for.
final class CommonFindings: @unchecked Sendable {
    private let known: KnownFindings
    private let plan: FuzzPlan
    private let lock = NSLock()
    private var found: [UInt64: [KnownFindings.Finding]] = [:]

    /// Cases that are drawn to see.
    private static let samples: UInt64 = 20

    init(_ known: KnownFindings, _ plan: FuzzPlan) {
        self.known = known
        self.plan = plan
    }

    /// Those of the architecture of case `index`.
    /// - Throws: what drawing throws.
    func findings(of index: UInt64) throws -> [KnownFindings.Finding] {
        let count = UInt64(plan.architectures.count)
        let number = index % count
        if let known = lock.withLock({ found[number] }) { return known }
        let candidates = known.about(plan.architecture(of: index).name, on: plan.devices)
        let common = candidates.isEmpty
            ? []
            : KnownFindings.common(
                candidates, among: try (0..<Self.samples).map { try plan.draw(number + $0 * count).case })
        lock.withLock { found[number] = common }
        return common
    }
}
