import Engines

/// Edits cases that no choices draw.
struct StructuralSearch: CaseSearch {
    private(set) var best: Case
    private let trials: CaseTrials
    private let engine: EngineTraits

    /// - Parameter engine: what the engines under test can be asked for.
    init(_ best: Case, _ trials: CaseTrials, _ engine: EngineTraits) {
        self.best = best
        self.trials = trials
        self.engine = engine
    }

    var isExhausted: Bool { trials.isOver }

    mutating func attempt(_ candidate: Case) -> Bool {
        guard candidate.isPlainer(than: best), (try? candidate.objection()) == .some(nil),
            // What is refused for a gap would look like a legal batch that is refused.
            engine.admitsGaps || candidate.gapCount <= best.gapCount, trials.fails(candidate)
        else { return false }
        best = candidate
        return true
    }
}

extension Case {
    /// Tokens that do not come right after what their sequence holds.
    fileprivate var gapCount: Int {
        guard let traits = try? sessionTraits() else { return 0 }
        var state = ScriptState(traits, script.options)
        var count = 0
        for step in script.steps {
            guard case .process(let batch) = step else {
                state.apply(step)
                continue
            }
            for token in batch.tokens {
                let ends = token.sequences.elements.map(state.end).filter { $0 > 0 }
                if ends.contains(where: { token.position > $0 }) { count += 1 }
                state.process(token)
            }
        }
        return count
    }
}
