/// Edits cases that no choices draw.
struct StructuralSearch: CaseSearch {
    private(set) var best: Case
    private let trials: CaseTrials

    init(_ best: Case, _ trials: CaseTrials) {
        self.best = best
        self.trials = trials
    }

    var isExhausted: Bool { trials.isOver }

    mutating func attempt(_ candidate: Case) -> Bool {
        guard candidate.isPlainer(than: best), (try? candidate.objection()) == .some(nil), trials.fails(candidate)
        else { return false }
        best = candidate
        return true
    }
}
