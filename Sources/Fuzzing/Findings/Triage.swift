/// Groups failures that others have seen by their causes, without running anything.
public struct Triage {
    /// Failures of one cause.
    public struct Group: Sendable {
        public var title: String
        /// Where they are kept, the simplest case first.
        public var members: [String]
        public var occurrences = Finding.Occurrences()
        /// What was seen of the simplest.
        public var seen: String

        /// What a person reads of it, each on a line of its own.
        public var lines: [String] {
            let more = members.count > 1 ? " and \(members.count - 1) more" : ""
            return [seen, occurrences.words, (members.first ?? "") + more]
        }
    }

    private struct Member {
        var signature: Signature
        var seen: String
        var entry: CorpusEntry?
        var place: String
        var cause: Cause?
    }

    private var members: [Member] = []

    public init() {}

    public mutating func add(_ entry: CorpusEntry, in place: String) {
        let needs = !entry.case.check.isOfTensors ? [] : entry.case.peculiarities.sorted { $0.rank < $1.rank }
            .compactMap(entry.case.trait)
        members.append(
            Member(
                signature: entry.signature, seen: entry.seen, entry: entry, place: place,
                cause: entry.cause ?? Cause(needs: needs)))
    }

    /// A failure of which there is no case.
    public mutating func add(_ signature: Signature, _ seen: String, in place: String) {
        members.append(Member(signature: signature, seen: seen, place: place))
    }

    /// What is left of an error that is a rounding, beyond any that a defect has been seen to make.
    private static let largestRounding = 5e-3

    /// The groups, those that were seen most first.
    public var groups: [Group] {
        // What needs least comes first: it explains what needs more.
        let ordered = members.sorted { a, b in
            switch (a.cause, b.cause) {
            case (let own?, let other?): own.strongNeeds.count < other.strongNeeds.count
            case (.some, nil): true
            default: false
            }
        }
        var groups: [(first: Member, others: [Member])] = []
        for member in ordered {
            if let index = groups.firstIndex(where: { Self.isSame($0.first, member) }) {
                groups[index].others.append(member)
            } else {
                groups.append((member, []))
            }
        }
        return groups.map { group in
            var result = Group(
                title: Self.title(group.first), members: ([group.first] + group.others).map(\.place),
                seen: group.first.seen)
            for member in [group.first] + group.others { result.occurrences.add(member.signature) }
            return result
        }.sorted { ($1.members.count, $0.title) < ($0.members.count, $1.title) }
    }

    private static func isSame(_ first: Member, _ other: Member) -> Bool {
        let (a, b) = (first.signature, other.signature)
        guard a.backend == b.backend else { return false }
        let (own, others) = (Happening(kind: a.kind), Happening(kind: b.kind))
        if own == .message || others == .message || a.place != nil || b.place != nil {
            return a.kind.message == b.kind.message && a.place == b.place
        }
        guard own == others else { return false }
        if own == .numbers, isRounding(first) || isRounding(other) { return isRounding(first) && isRounding(other) }
        guard let cause = first.cause, let another = other.cause else { return a.kind == b.kind }
        return Set(cause.strongNeeds).isSubset(of: another.strongNeeds)
    }

    private static func isRounding(_ member: Member) -> Bool {
        guard let match = member.seen.firstMatch(of: /; ([0-9.e+-]+) of the row's length/) else { return false }
        return Double(match.1).map { $0 <= largestRounding } ?? false
    }

    private static func title(_ member: Member) -> String {
        if Happening(kind: member.signature.kind) == .numbers, isRounding(member) {
            return "errors as small as a coarser arithmetic's on \(member.signature.backend)"
        }
        guard var entry = member.entry else { return member.signature.description }
        entry.cause = member.cause.map { Cause(needs: $0.strongNeeds, tensors: $0.tensors, ops: $0.ops) }
        return entry.title
    }
}
