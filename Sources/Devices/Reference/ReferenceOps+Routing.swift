import ModelGraph

extension ReferenceOps {
    /// `(scores [T, E]) → [T, k]`: the `k` experts of greatest score, best first; equal scores: the lower index
    /// first. Of several groups, the best are chosen first, by the sum of their one or two best scores, and only their
    /// experts take part. Sources: see `Routing`.
    ///
    /// Its decisions are, token by token, which groups take part and which experts are used, where not all are. The
    /// order among those that are taken is no decision: every use of the result is a product with, or a weight of, each
    /// expert, and they are summed.
    static func topExperts(
        _ routing: Routing, _ scores: ReferenceValue, _ y: Doubles, _ rounder: Rounder, _ log: DecisionLog?
    ) throws {
        let (experts, size) = (scores.shape[1], scores.shape[1] / routing.groups)
        for t in 0..<scores.shape[0] {
            let row = Array(UnsafeBufferPointer(start: scores.row(t), count: experts))
            var candidates = Array(row.indices)
            if routing.groupsUsed < routing.groups {
                let groupScores = (0..<routing.groups).map { group in
                    rounder.inner(
                        row[group * size ..< (group + 1) * size].sorted(by: >).prefix(routing.groupBest).reduce(0, +))
                }
                candidates = try greatest(routing.groupsUsed, of: groupScores, among: Array(groupScores.indices), log)
                    .sorted().flatMap { $0 * size ..< ($0 + 1) * size }
            }
            let best = try greatest(routing.used, of: row, among: candidates, log)
            for i in 0..<routing.used { y[t * routing.used + i] = Double(best[i]) }
        }
    }

    /// `(scores [T, C]) → [T, C]`: 0 for each token's `count` cells of greatest score, −∞ elsewhere; equal scores: the
    /// lower cell first. A cell of score −∞ is not taken.
    ///
    /// Its decisions are, token by token, which cells are taken, where not all that the token sees are.
    static func topCells(_ count: Int, _ scores: ReferenceValue, _ y: Doubles, _ log: DecisionLog?) throws {
        let cells = scores.shape[1]
        y.update(repeating: -.infinity, count: scores.count)
        for t in 0..<scores.shape[0] {
            let row = Array(UnsafeBufferPointer(start: scores.row(t), count: cells))
            let seen = row.indices.filter { row[$0] > -.infinity }
            for cell in try greatest(min(count, seen.count), of: row, among: seen, log) { y[t * cells + cell] = 0 }
        }
    }

    /// `(scores [T, H, C], mask [T, C], positions [T], cellPositions [C]) → [H, T, C]`: 0 for the cells that the token
    /// sees of its local blocks and of those of greatest score, −∞ elsewhere; a block's score is its cells' greatest.
    ///
    /// Its decisions are, token by token and head by head, which blocks are taken, where not all that the token sees
    /// are.
    static func topBlocks(
        _ selection: BlockSelection, _ scores: ReferenceValue, _ mask: ReferenceValue, _ positions: ReferenceValue,
        _ cellPositions: ReferenceValue, _ y: Doubles, _ log: DecisionLog?
    ) throws {
        let (tokens, heads, cells) = (scores.shape[0], scores.shape[1], scores.shape[2])
        y.update(repeating: -.infinity, count: scores.count)
        for t in 0..<tokens {
            let seen = (0..<cells).filter { mask[t * cells + $0] > -.infinity }
            let blocks = Dictionary(grouping: seen) { Int(cellPositions[$0]) / selection.size }
            let position = Int(positions[t])
            let local = blocks.keys.filter { selection.isLocal(block: $0, to: position) }
            let others = blocks.keys.filter { !selection.isLocal(block: $0, to: position) }.sorted()
            for h in 0..<heads {
                let row = scores.row(t * heads + h)
                var best = [Double](repeating: -.infinity, count: (others.last ?? 0) + 1)
                for block in others { best[block] = blocks[block, default: []].map { row[$0] }.max() ?? -.infinity }
                let rest = min(selection.count - local.count, others.count)
                // What takes nothing is no decision.
                let chosen = rest > 0 ? try greatest(rest, of: best, among: others, log) : []
                for block in local + chosen {
                    for cell in blocks[block, default: []] { y[(h * tokens + t) * cells + cell] = 0 }
                }
            }
        }
    }

    /// The `count` candidates of greatest score, or those that the log prescribes, best first, the earlier of equals
    /// first.
    private static func greatest(
        _ count: Int, of scores: [Double], among candidates: [Int], _ log: DecisionLog?
    ) throws -> [Int] {
        func sorted(_ candidates: [Int]) -> [Int] {
            candidates.sorted { scores[$0] > scores[$1] || scores[$0] == scores[$1] && $0 < $1 }
        }
        let isDecision = count < candidates.count
        let prescribed = isDecision ? log?.next : nil
        if let prescribed, prescribed.count != count || !Set(prescribed).isSubset(of: candidates) {
            throw Unprescribable(taken: prescribed)
        }
        var taken: [Int], rest: [Int]
        if let prescribed {
            taken = sorted(prescribed)
            rest = candidates.filter { !prescribed.contains($0) }
        } else {
            rest = candidates
            taken = (0..<count).map { _ in
                var best = 0
                for i in rest.indices where scores[rest[i]] > scores[rest[best]] { best = i }
                return rest.remove(at: best)
            }
        }
        if isDecision, let log {
            func candidates(_ indices: some Sequence<Int>) -> [Decision.Candidate] {
                indices.prefix(Decision.contenders).map { Decision.Candidate(index: $0, score: scores[$0]) }
            }
            log.append(
                Decision(
                    taken: taken.sorted(), least: candidates(taken.reversed()), greatest: candidates(sorted(rest))))
        }
        return taken
    }

    private struct Unprescribable: Error, CustomStringConvertible {
        var taken: [Int]
        var description: String { "a decision cannot take \(taken)" }
    }

    /// `(x [T, E], experts [T, k]) → [T, k]`: `y[t, i] = x[t, experts[t, i]]`.
    static func takeExperts(_ x: ReferenceValue, _ experts: ReferenceValue, _ y: Doubles) throws {
        let (count, used) = (x.shape[1], experts.shape[1])
        for i in 0..<experts.count { y[i] = x[i / used * count + (try experts.index(i, of: "expert", below: count))] }
    }

    /// `(experts [T, k]) → [T, k]`: `y[t, i] = ⌊experts[t, i] / size⌋`.
    static func expertGroups(_ size: Int, _ experts: ReferenceValue, _ y: Doubles) {
        for i in 0..<experts.count { y[i] = (experts[i] / Double(size)).rounded(.down) }
    }
}
