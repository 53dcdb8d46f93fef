/// One way of looking for something simpler.
public struct ShrinkPass: Sendable {
    public let name: String
    let run: @Sendable (inout ShrinkSearch) -> Void

    public init(_ name: String, _ run: @escaping @Sendable (inout ShrinkSearch) -> Void) {
        self.name = name
        self.run = run
    }

    /// From the coarse to the fine: what removes much goes first, since everything after it then has less to do.
    public static let all: [ShrinkPass] = [
        .everythingSimplest, .deleteSpans, .hoistInnerSpans, .zeroRuns, .simplifySpans, .lowerCounts, .joinNeighbours,
        .minimizeChoices, .lowerTogether, .redistribute, .reorderSpans, .lowerAlternatives, .deleteAndRenumber,
    ]
}
