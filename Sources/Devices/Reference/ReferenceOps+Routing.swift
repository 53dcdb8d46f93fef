import ModelGraph

extension ReferenceOps {
    /// `(scores [T, E]) → [T, k]`: the `k` experts of greatest score, best first; equal scores: the lower index
    /// first. Of several groups, the best are chosen first, by the sum of their one or two best scores, and only their
    /// experts take part. Sources: see `Routing`.
    ///
    /// The one op that is discontinuous. Its decisions are, token by token, which groups take part and which
    /// experts are used, where not all are. The order among those that are taken is no decision: every use of the
    /// result is a product with, or a weight of, each expert, and they are summed.
    static func topExperts(
        _ routing: Routing, _ scores: ReferenceValue, _ y: Doubles, _ rounder: Rounder,
        note: (DecisionLog.Decision) -> Void
    ) {
        let (experts, size) = (scores.shape[1], scores.shape[1] / routing.groups)
        for t in 0..<scores.shape[0] {
            let row = Array(UnsafeBufferPointer(start: scores.row(t), count: experts))
            var candidates = Array(row.indices)
            if routing.groupsUsed < routing.groups {
                let groupScores = (0..<routing.groups).map { group in
                    rounder.inner(row[group * size ..< (group + 1) * size].sorted(by: >).prefix(routing.groupBest).reduce(0, +))
                }
                candidates = greatest(routing.groupsUsed, of: groupScores, among: Array(groupScores.indices), note)
                    .sorted().flatMap { $0 * size ..< ($0 + 1) * size }
            }
            let best = greatest(routing.used, of: row, among: candidates, note)
            for i in 0..<routing.used { y[t * routing.used + i] = Double(best[i]) }
        }
    }

    /// The `count` candidates of greatest score, best first, the earlier of equals first.
    private static func greatest(
        _ count: Int, of scores: [Double], among candidates: [Int], _ note: (DecisionLog.Decision) -> Void
    ) -> [Int] {
        var rest = candidates
        let taken = (0..<count).map { _ in
            var best = 0
            for i in rest.indices where scores[rest[i]] > scores[rest[best]] { best = i }
            return rest.remove(at: best)
        }
        if let last = taken.last, let best = rest.map({ scores[$0] }).max() {
            note(DecisionLog.Decision(margin: scores[last] - best, taken: taken.sorted()))
        }
        return taken
    }

    /// `(x [T, E], experts [T, k]) → [T, k]`: `y[t, i] = x[t, experts[t, i]]`.
    static func takeExperts(_ x: ReferenceValue, _ experts: ReferenceValue, _ y: Doubles) throws {
        let (count, used) = (x.shape[1], experts.shape[1])
        for i in 0..<experts.count { y[i] = x[i / used * count + (try experts.index(i, of: "expert", below: count))] }
    }
}
