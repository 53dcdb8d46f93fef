import Engines
import Inference

/// What is taken out of a script.
struct ScriptCut {
    /// Numbers of steps.
    var steps: Set<Int> = []
    /// Numbers of tokens, those of all batches counted together.
    var tokens: Range<Int> = 0..<0
    var sequence: Int?
}

extension Script {
    /// The script without some of it. What is left means what it did as far as it can: tokens follow those that their
    /// sequence holds now, by the same gaps, and what can no longer be asked for goes too.
    func removing(_ cut: ScriptCut, _ traits: SessionTraits, _ check: Check) -> Script {
        var result = self
        if cut.sequence != nil { result.options.sequences -= 1 }
        result.steps = []
        var before = ScriptState(traits, options)
        var after = ScriptRules(traits, result.options, check)
        var firstToken = 0
        for (number, step) in steps.enumerated() {
            defer {
                firstToken += step.batch?.tokens.count ?? 0
                before.apply(step)
            }
            guard !cut.steps.contains(number), let left = step.removing(cut, firstToken, before, after.state),
                after.objection(to: left) == nil
            else { continue }
            after.apply(left)
            result.steps.append(left)
        }
        return result
    }
}

extension Case {
    /// The same with one token less, in each way.
    var shorterScripts: [Case] {
        guard let traits = try? sessionTraits() else { return [] }
        return (0..<min(tokens, 16)).reduce(into: []) { shorter, number in
            var subject = self
            subject.script = script.removing(ScriptCut(tokens: number..<number + 1), traits, check)
            let isLeft = subject.script.steps.contains { $0.batch != nil }
            if isLeft, subject.tokens < tokens, !shorter.contains(subject) { shorter.append(subject) }
        }
    }
}

extension Step {
    /// - Parameters:
    ///   - first: the number of its first token.
    ///   - before: what the session held before this step in the whole script.
    ///   - after: the same in what is left of it.
    /// - Returns: nil where nothing is left.
    fileprivate func removing(_ cut: ScriptCut, _ first: Int, _ before: ScriptState, _ after: ScriptState) -> Step? {
        func left(_ sequence: Int) -> Int? {
            guard let removed = cut.sequence else { return sequence }
            return sequence == removed ? nil : sequence > removed ? sequence - 1 : sequence
        }
        /// Where there are fewer tokens now, as far from their end as it was.
        func moved(_ position: Int, _ sequence: Int) -> Int {
            guard let now = left(sequence) else { return position }
            let (old, new) = (before.end(of: sequence), after.end(of: now))
            return position < new ? position : max(0, new - max(0, old - position))
        }
        switch self {
        case .encode(let batch):
            // An encoder remembers nothing.
            let nothing = ScriptState(before.traits, before.options)
            return batch.removing(cut, first, nothing, nothing, left).map(Step.encode)
        case .process(let batch):
            return batch.removing(cut, first, before, after, left).map(Step.process)
        case .remove(let sequence, let from, let to):
            guard let sequence else { return self }
            let start = moved(from, sequence)
            return left(sequence).map { .remove(sequence: $0, from: start, to: to.map { start + $0 - from }) }
        case .keep(let sequence): return left(sequence).map { .keep(sequence: $0) }
        case .copy(let source, let destination, let from, let to):
            guard let now = left(source), let destination = left(destination) else { return nil }
            let start = moved(from, source)
            return .copy(source: now, destination: destination, from: start, to: to.map { start + $0 - from })
        case .shift(let sequence, let from, let to, let delta):
            let start = moved(from, sequence)
            return left(sequence).map { .shift(sequence: $0, from: start, to: to.map { start + $0 - from }, by: delta) }
        case .divide(let sequence, let from, let to, let divisor):
            let start = moved(from, sequence)
            return left(sequence).map {
                .divide(sequence: $0, from: start, to: to.map { start + $0 - from }, by: divisor)
            }
        case .save(let sequence?): return left(sequence).map { .save(sequence: $0) }
        case .restore(let sequence?): return left(sequence).map { .restore(sequence: $0) }
        case .save(nil), .restore(nil), .clear: return self
        }
    }
}

extension Batch {
    fileprivate func removing(
        _ cut: ScriptCut, _ first: Int, _ before: ScriptState, _ after: ScriptState, _ left: (Int) -> Int?
    ) -> Batch? {
        var old = before.histories.indices.map { before.end(of: $0) }
        var new = after.histories.indices.map { after.end(of: $0) }
        func end(_ ends: [Int], _ sequences: SequenceSet) -> Int { sequences.elements.map { ends[$0] }.max() ?? 0 }
        var kept: [Token] = []
        for (number, token) in tokens.enumerated() {
            let gap = token.position - end(old, token.sequences)
            for sequence in token.sequences.elements { old[sequence] = token.position + 1 }
            var next = token
            next.sequences = token.sequences.elements.compactMap(left).reduce(into: []) { $0.insert($1) }
            guard !cut.tokens.contains(first + number), !next.sequences.isEmpty else { continue }
            next.position = max(0, end(new, next.sequences) + gap)
            for sequence in next.sequences.elements { new[sequence] = next.position + 1 }
            kept.append(next)
        }
        // A batch that was asked for something is.
        if let last = kept.indices.last, tokens.contains(where: \.wantsOutput), !kept.contains(where: \.wantsOutput) {
            kept[last].wantsOutput = true
        }
        return kept.isEmpty ? nil : Batch(kept)
    }
}
