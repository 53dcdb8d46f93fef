import Foundation

/// The discontinuous decisions that one session on the reference makes, in the order in which it makes them.
///
/// Which decisions there are, and in which order, depends on the model and the script alone, never on the values:
/// decision `i` of an exact and of a rounded run is the same one, however it falls. A log belongs to one device
/// object that one session uses; otherwise the decisions of several sessions are mixed.
public final class DecisionLog: @unchecked Sendable {
    /// A choice of the best of several candidates, of which some are left.
    public struct Decision: Hashable, Sendable {
        /// The score of the last that is taken, less the best that is not.
        public var margin: Double
        /// The candidates that are taken, ascending.
        public var taken: [Int]
    }

    private let lock = NSLock()
    private var made: [Decision] = []

    public init() {}

    public var decisions: [Decision] { lock.withLock { made } }
    public var margins: [Double] { decisions.map(\.margin) }

    func clear() { lock.withLock { made.removeAll() } }
    func append(_ decision: Decision) { lock.withLock { made.append(decision) } }
}
