import PropertyTesting

/// Cuts a failing case down to the simplest that fails in the same way.
public struct CaseShrinker {
    let drawing: CaseDrawing
    let judge: Judge
    /// The most cases that are judged.
    public var budget: Int
    /// Told of each case that was judged: how many there were, and the simplest that fails so far.
    public var progress: (Int, Case) -> Void = { _, _ in }

    public init(_ drawing: CaseDrawing, _ judge: Judge, budget: Int = 1000) {
        self.drawing = drawing
        self.judge = judge
        self.budget = budget
    }

    /// - Parameters:
    ///   - start: the choices of a case that failed.
    ///   - failure: how it failed.
    ///   - isCancelled: asked before each case; once true, the simplest so far is the result.
    /// - Returns: nil where the case does not fail in this way again.
    public func shrink(
        _ start: Choices.Recording, _ failure: Failure, isCancelled: @escaping () -> Bool = { false }
    ) -> ShrunkCase? {
        let whole = CaseSpace(drawing: drawing)
        guard let subject = whole.replay(start), let trials = trials(subject, failure, isCancelled) else { return nil }
        return shrinkByChoices(start, trials).map { ShrunkCase(trials, $0) }
    }

    /// By all that choices draw.
    private func shrinkByChoices(_ start: Choices.Recording, _ trials: CaseTrials) -> Choices.Recording? {
        let whole = CaseSpace(drawing: drawing)
        guard var best = trials.shrink(start, in: whole) else { return nil }
        // Each takes as many runs as the case took before: those that go on finding one are let go.
        for _ in 0..<3 {
            guard let smaller = trials.redraw(drawing) else { break }
            best = trials.shrink(smaller, in: whole) ?? smaller
        }
        return best
    }

    /// The same of any legal case, be it one that no choices draw: a script is cut down by editing it then, and its
    /// model by its choices, until choices draw all of it.
    public func shrink(
        _ start: Case, _ failure: Failure, isCancelled: @escaping () -> Bool = { false }
    ) -> ShrunkCase? {
        guard let trials = trials(start, failure, isCancelled) else { return nil }
        var search = StructuralSearch(trials.best.case, trials, drawing.traits)
        while true {
            let choices = try? CaseSpace(drawing: drawing).recover(search.best)
            if let drawn = choices.flatMap({ shrinkByChoices($0, trials) }) { return ShrunkCase(trials, drawn) }
            let before = search.best
            search.simplifyStructure(drawing.traits)
            if search.best != before { continue }
            let models = CaseSpace(drawing: drawing, kept: before)
            let recording = try? models.recover(before)
            let drawn = recording.flatMap { trials.shrink($0, in: models) } ?? recording
            if trials.isOver || trials.best.case == before {
                return ShrunkCase(trials, drawn ?? Choices(replaying: []).recording)
            }
            search = StructuralSearch(trials.best.case, trials, drawing.traits)
        }
    }

    private func trials(_ start: Case, _ failure: Failure, _ isCancelled: @escaping () -> Bool) -> CaseTrials? {
        CaseTrials(start, failure, judge, budget: budget, isCancelled: isCancelled, progress: progress)
    }
}

/// What shrinking a case came to.
public struct ShrunkCase: Sendable {
    public var `case`: Case
    /// The choices that draw the case; where none draw its script, those of its model.
    public var recording: Choices.Recording
    public var failure: Failure
    /// How many cases were judged, the first included; not how often that one was to see whether it always fails.
    public var evaluations: Int
    /// The same case sometimes passes.
    public var isFlaky: Bool
    /// It was not cut down to the end: the budget ended before, or it was told to.
    public var isExhausted: Bool

    fileprivate init(_ trials: CaseTrials, _ recording: Choices.Recording) {
        self.case = trials.best.case
        self.recording = recording
        failure = trials.best.failure
        evaluations = trials.judged
        isFlaky = trials.isFlaky
        isExhausted = trials.isOver
    }
}
