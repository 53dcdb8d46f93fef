import Engines
import Inference
import PropertyTesting

/// A search for simpler cases that edits them, whichever way a candidate is tried.
protocol CaseSearch {
    /// The simplest that still fails, so far.
    var best: Case { get }
    var isExhausted: Bool { get }
    /// Whether a candidate is simpler than the best and still fails; it is the best then.
    mutating func attempt(_ candidate: Case) -> Bool
}

extension CaseSearch {
    /// Takes parts out of a list, first halves of it and then ever smaller parts, the last first (Zeller and
    /// Hildebrandt 2002, "Simplifying and isolating failure-inducing input").
    ///
    /// Of a long list of which all is needed, each size is given up after a few parts.
    /// - Parameters:
    ///   - least: the size of the smallest parts.
    ///   - count: the length of the list.
    ///   - remove: takes a part out of the case; nil where it cannot.
    mutating func cut(least: Int = 1, _ count: (Case) -> Int, _ remove: (Case, Range<Int>) -> Case?) {
        let patience = 16
        var size = (count(best) + 1) / 2
        while size >= least, size > 0 {
            var end = count(best)
            var misses = 0
            while end > 0, misses < patience, !isExhausted {
                let part = max(0, end - size)..<end
                let isCut = remove(best, part).map { attempt($0) } ?? false
                misses = isCut ? 0 : misses + 1
                end = isCut ? min(part.lowerBound, count(best)) : part.lowerBound
            }
            size = size == 1 ? 0 : (min(size, count(best)) + 1) / 2
        }
    }

    /// Takes steps out of the script, then tokens out of its batches.
    /// - Parameter isRough: whether large parts are enough, of long scripts.
    mutating func cutScript(isRough: Bool = false) {
        guard let traits = try? best.sessionTraits() else { return }
        func removing(_ cut: ScriptCut, _ subject: Case) -> Case {
            var subject = subject
            subject.script = subject.script.removing(cut, traits, subject.check)
            return subject
        }
        cut(least: isRough ? 3 : 1) { $0.script.steps.count } _: { removing(ScriptCut(steps: Set($1)), $0) }
        cut(least: isRough ? 8 : 1) { $0.tokens } _: { removing(ScriptCut(tokens: $1), $0) }
    }

    /// Tries the simplest case of all that has the same check, the simplest script with the model as it is, and the
    /// simplest case with one token more: some failures happen on everything, others need something of the model, and
    /// others happen wherever there are two tokens.
    mutating func trySimplest(drawing: CaseDrawing) {
        guard let simplest = drawing.simplest(best.check), !attempt(simplest) else { return }
        var ofModel = best
        ofModel.script.options = simplest.script.options
        ofModel.script.steps = simplest.script.steps
        if best.check.isOfTensors, attempt(ofModel) { return }
        _ = attempt(simplest.withOneTokenMore)
    }
}

extension CaseDrawing {
    /// The simplest case of a check; nil where its choices contradict each other.
    func simplest(_ check: Check) -> Case? {
        var drawing = self
        drawing.checks = [check]
        var choices = Choices(replaying: [])
        return try? drawing.draw(&choices)
    }
}

extension Case {
    /// Another token at the end of its last batch; of an encoder's input, one that follows it.
    fileprivate var withOneTokenMore: Case {
        var result = self
        guard case .process(let batch)? = script.steps.last, let last = batch.tokens.last else {
            result.script.steps.append(.process(Batch([0])))
            return result
        }
        // The same token again would have the same values, whatever attention makes of them.
        var next = last
        next.id = 1
        next.position += 1
        var tokens = batch.tokens + [next]
        if batch.tokens.count == 1 { tokens[0].wantsOutput = false }
        result.script.steps[script.steps.count - 1] = .process(Batch(tokens))
        return result
    }
}
