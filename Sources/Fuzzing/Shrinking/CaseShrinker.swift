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
        let signature = failure.signature
        let tries = Self.tries(judge, start, drawing, signature, isCancelled)
        guard tries > 0 else { return nil }
        var seen = failure
        var (judged, best) = (0, Case?.none)
        let shrinker = Shrinker(budget: budget, passes: [.fewerLayers(drawing)] + ShrinkPass.all)
        let shrunk = shrinker.shrink(start) { choices in
            var candidate = try drawing.draw(&choices)
            candidate.devices = [signature.device]
            return candidate
        } accepts: { candidate in
            guard !isCancelled() else { return false }
            judged += 1
            defer { progress(judged, best ?? candidate) }
            for _ in 0..<tries {
                if let failure = judge.judge(candidate).compactMap(\.failure).first, failure.signature.isStill(signature) {
                    (seen, best) = (failure, candidate)
                    return true
                }
            }
            return false
        }
        return shrunk.map {
            ShrunkCase(
                case: $0.value, recording: $0.recording, failure: seen, evaluations: $0.evaluations,
                isFlaky: tries > 1)
        }
    }

    /// How often a case must be judged so that it fails almost surely if it can: once, or several times where a failure
    /// depends on more than the case. 0: it does not fail again.
    private static func tries(
        _ judge: Judge, _ start: Choices.Recording, _ drawing: CaseDrawing, _ signature: Signature,
        _ isCancelled: () -> Bool
    ) -> Int {
        var choices = Choices(replaying: start)
        guard var candidate = try? drawing.draw(&choices) else { return 0 }
        candidate.devices = [signature.device]
        func fails() -> Bool { judge.judge(candidate).contains { $0.failure?.signature.isStill(signature) ?? false } }
        if (0..<3).allSatisfy({ _ in fails() }) { return 1 }
        let runs = 60
        let failures = (0..<runs).count { _ in !isCancelled() && fails() }
        // Three times the mean distance between failures leaves one in twenty unseen.
        return failures == 0 ? 0 : (3 * runs + failures - 1) / failures
    }
}

/// What shrinking a case came to.
public struct ShrunkCase: Sendable {
    public var `case`: Case
    public var recording: Choices.Recording
    public var failure: Failure
    /// How many cases were judged, the first included; not how often that one was to see whether it always fails.
    public var evaluations: Int
    /// The same case sometimes passes.
    public var isFlaky: Bool
}
