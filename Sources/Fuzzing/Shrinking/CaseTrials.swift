import PropertyTesting

/// What is asked of every candidate for a simpler case: whether it fails in the same way; and what came of it so far.
final class CaseTrials {
    private let judge: Judge
    private let signature: Signature
    private let budget: Int
    /// How often a case must be judged so that it fails almost surely if it can.
    private let tries: Int
    private let isCancelled: () -> Bool
    private let progress: (Int, Case) -> Void
    private var passed: Set<Case> = []
    private(set) var judged = 0
    /// The last that failed, and how.
    private(set) var best: (case: Case, failure: Failure)

    /// - Returns: nil where the case does not fail in this way again.
    init?(
        _ start: Case, _ failure: Failure, _ judge: Judge, budget: Int, isCancelled: @escaping () -> Bool,
        progress: @escaping (Int, Case) -> Void
    ) {
        self.judge = judge
        self.budget = budget
        self.isCancelled = isCancelled
        self.progress = progress
        signature = failure.signature
        var start = start
        start.devices = [signature.device]
        best = (start, failure)
        tries = Self.tries(start, judge, signature, isCancelled)
        if tries == 0 { return nil }
    }

    var isFlaky: Bool { tries > 1 }
    var isOver: Bool { left <= 0 || isCancelled() }
    /// Cases that may still be judged.
    var left: Int { budget - judged }

    /// Whether a case fails in the same way; it is the best then. What passed is not judged again.
    func fails(_ candidate: Case) -> Bool {
        var candidate = candidate
        candidate.devices = [signature.device]
        guard !isOver, candidate.check == signature.check, !passed.contains(candidate) else { return false }
        judged += 1
        defer { progress(judged, best.case) }
        for _ in 0..<tries {
            if let failure = judge.judge(candidate).compactMap(\.failure).first, failure.signature.isStill(signature) {
                best = (candidate, failure)
                return true
            }
        }
        passed.insert(candidate)
        return false
    }

    /// Looks for the choices of the simplest case of a space that fails, beginning with those of `start`.
    /// - Returns: nil where not even these draw a case that does.
    func shrink(_ start: Choices.Recording, in space: CaseSpace) -> Choices.Recording? {
        var passes: [ShrinkPass] = [.editing("fewer layers", in: space) { $0.removeLayers() }]
        if space.kept == nil {
            passes.insert(.editing("simplest of all", in: space) { $0.trySimplest(drawing: space.drawing) }, at: 0)
            passes.append(.editing("half the script", in: space) { $0.cutScript(isRough: true) })
        }
        return Shrinker(budget: left, passes: passes + ShrinkPass.all)
            .shrink(start, isCancelled: isCancelled) { try space.draw(&$0) } accepts: { self.fails($0) }?.recording
    }

    /// Looks for a case with fewer layers or tokens, of other sizes and weights: where a failure depends on numbers,
    /// the simplest model may need more tokens for it than another.
    ///
    /// Few are tried, and fewer where only one token or layer could be spared.
    /// - Returns: nil where none of these fails.
    func redraw(_ drawing: CaseDrawing) -> Choices.Recording? {
        let best = best.case
        let whole = CaseSpace(drawing: drawing)
        guard let simplest = drawing.simplest(best.check) else { return nil }
        var spaces = best.shorterScripts.map { CaseSpace(drawing: drawing, kept: $0) }
        if best.layers > simplest.layers { spaces.append(CaseSpace(drawing: drawing, kept: best)) }
        guard !spaces.isEmpty else { return nil }
        var any = whole
        any.drawing.checks = [best.check]
        spaces.append(any)

        let surplus = max(0, best.layers - simplest.layers) + best.tokens - 1
        var tries = min(20, 6 * surplus)
        for stream in 0..<64 * tries where tries > 0 && !isOver {
            var choices = Choices(seed: 0, stream: UInt64(stream))
            guard let drawn = try? spaces[stream % spaces.count].redraw(&choices), drawn.layers <= best.layers,
                drawn.tokens <= best.tokens, drawn.layers < best.layers || drawn.tokens < best.tokens,
                let recording = try? whole.recover(drawn)
            else { continue }
            tries -= 1
            if fails(drawn) { return recording }
        }
        return nil
    }

    /// Once, or several times where a failure depends on more than the case; 0: it does not fail again.
    private static func tries(
        _ start: Case, _ judge: Judge, _ signature: Signature, _ isCancelled: () -> Bool
    ) -> Int {
        func fails() -> Bool { judge.judge(start).contains { $0.failure?.signature.isStill(signature) ?? false } }
        if (0..<3).allSatisfy({ _ in fails() }) { return 1 }
        let runs = 60
        let failures = (0..<runs).count { _ in !isCancelled() && fails() }
        // Three times the mean distance between failures leaves one in twenty unseen.
        return failures == 0 ? 0 : (3 * runs + failures - 1) / failures
    }
}
