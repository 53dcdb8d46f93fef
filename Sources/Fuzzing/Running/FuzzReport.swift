/// What a run came to: its tally, whose counts are its own, and its findings.
@dynamicMemberLookup
public struct FuzzReport: Sendable {
    public let plan: FuzzPlan
    public internal(set) var tally: Tally
    /// Until the last case was judged; what is cut down after that takes time of its own. Of a run that goes on, of all
    /// sessions.
    public internal(set) var duration: Duration
    public internal(set) var wasInterrupted = false
    /// How many cases ran side by side in the end; nil: it was not measured how many should.
    public internal(set) var measuredJobs: Int?
    /// In the order of the cases that showed them.
    public internal(set) var findings: [Finding] = []

    init(plan: FuzzPlan, tally: Tally, duration: Duration) {
        self.plan = plan
        self.tally = tally
        self.duration = duration
    }

    public subscript<Value>(dynamicMember path: KeyPath<Tally, Value>) -> Value { tally[keyPath: path] }
}
