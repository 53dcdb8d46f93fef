/// How many cases had each feature (`CaseRecord.features`), and how many had each two of them together.
///
/// There are some hundred features whatever the number of cases, so that all of it stays small.
public struct Coverage: Hashable, Sendable, Codable {
    /// The features that were seen.
    public private(set) var features: [String] = []
    /// How many cases had each, in the order of `features`.
    public private(set) var counts: [Int] = []

    /// Two features by their numbers in `features`, the lesser first.
    public struct Pair: Hashable, Sendable, Codable {
        public var first: Int
        public var second: Int
    }

    /// How many cases had both.
    public private(set) var pairs: [Pair: Int] = [:]

    public init() {}
}
