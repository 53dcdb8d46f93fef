import Devices
import Engines
import GGUF
import Inference

/// What makes a script, and how its model is drawn, simpler where no choices draw them.
extension CaseSearch {
    /// - Parameter engine: what the engines under test can be asked for.
    mutating func simplifyStructure(_ engine: EngineTraits) {
        cut { $0.damages?.count ?? 0 } _: { subject, part in
            var result = subject
            result.damages?.removeSubrange(part)
            return result
        }
        if best.check == .tokenizes { return simplifyTokenization() }
        simplifyAdapters()
        cutScript()
        removeSequences()
        joinBatches()
        simplifyOptions(engine)
        simplifyNumbers()
        simplifyPlacement()
        simplifyRecipe()
    }

    @discardableResult
    mutating func edit(_ change: (inout Case) -> Void) -> Bool {
        var candidate = best
        change(&candidate)
        return candidate != best && attempt(candidate)
    }

    private mutating func removeSequences() {
        guard let traits = try? best.sessionTraits() else { return }
        for sequence in (0..<best.script.options.sequences).reversed() where best.script.options.sequences > 1 {
            edit { $0.script = $0.script.removing(ScriptCut(sequence: sequence), traits, $0.check) }
        }
    }

    /// Makes two batches that follow each other one.
    private mutating func joinBatches() {
        for number in best.script.steps.indices.dropFirst().reversed() {
            guard best.script.steps.indices.contains(number), case .process(let first) = best.script.steps[number - 1],
                case .process(let second) = best.script.steps[number]
            else { continue }
            let joined = Step.process(Batch(first.tokens + second.tokens))
            edit { $0.script.steps.replaceSubrange(number - 1...number, with: [joined]) }
        }
    }

    private mutating func simplifyOptions(_ engine: EngineTraits) {
        let plain = Script.Options()
        edit { $0.script.options.cacheType = plain.cacheType }
        for (setting, _) in best.script.options.settings.all {
            edit { $0.script.options.settings[setting] = setting.plain }
        }
        simplify(\.context, plain.context, in: max(engine.contextUnit, 32))
        simplify(\.microBatch, plain.microBatch, in: 1)
    }

    /// The plain size, or the least of its halves, in whole units, that does.
    private mutating func simplify(_ size: WritableKeyPath<Script.Options, Int>, _ plain: Int, in unit: Int) {
        let now = best.script.options[keyPath: size]
        let halves = (1...10).map { (now >> $0 + unit - 1) / unit * unit }.filter { $0 > 0 && $0 < now }
        let candidates = ([plain] + Set(halves).sorted()).filter { $0.isMultiple(of: unit) }
        for candidate in candidates where now != plain {
            if edit({ $0.script.options[keyPath: size] = candidate }) { return }
        }
    }

    // MARK: Numbers

    private mutating func simplifyNumbers() {
        cut { $0.tokens } _: { $0.changingTokens($1) { $0.id = 0 } }
        cut { $0.tokens } _: { $0.changingTokens($1) { $0.wantsOutput = true } }
        cut { $0.tokens } _: { $0.changingTokens($1) { $0.order = .none } }
        cut { $0.tokens } _: { $0.changingTokens($1) { if $0.order.isQuestion { $0.order = .noul } } }
        cut { $0.tokens } _: { $0.closingGaps($1) }
        for number in best.script.steps.indices {
            for simpler in best.script.steps[number].simpler { edit { $0.script.steps[number] = simpler } }
        }
    }

    // MARK: Placement and weights

    private mutating func simplifyPlacement() {
        edit { $0.script.placement.split = nil }
        cut { $0.script.placement.layers.count } _: { $0.removing($1, from: \.script.placement.layers) }
        cut { $0.script.placement.tensors.count } _: { $0.removing($1, from: \.script.placement.tensors) }
    }

    private mutating func simplifyRecipe() {
        edit { $0.recipe.type = .f32 }
        cut { $0.recipe.rules.count } _: { $0.removing($1, from: \.recipe.rules) }
        edit { $0.recipe.seed = 0 }
        edit { $0.transformation?.seed = 0 }
    }
}

extension Case {
    fileprivate func removing<Element>(_ part: Range<Int>, from list: WritableKeyPath<Case, [Element]>) -> Case {
        var result = self
        result[keyPath: list].removeSubrange(part)
        return result
    }

    /// - Parameter part: numbers of tokens, those of all batches counted together.
    fileprivate func changingTokens(_ part: Range<Int>, _ change: (inout Batch.Token) -> Void) -> Case {
        var result = self
        var number = 0
        result.script.steps = script.steps.map { step in
            step.changingTokens { token in
                if part.contains(number) { change(&token) }
                number += 1
            }
        }
        return result
    }

    /// Every token of a part comes right after the one before it in its sequences, and others follow as they did.
    fileprivate func closingGaps(_ part: Range<Int>) -> Case? {
        guard let traits = try? sessionTraits(), !traits.isRecurrent, !traits.traits.isOfWholeBatches else {
            return nil
        }
        var result = self
        var (before, after) = (ScriptState(traits, script.options), ScriptState(traits, script.options))
        var number = 0
        result.script.steps = script.steps.map { step in
            guard case .process = step else {
                number += step.batch?.tokens.count ?? 0
                before.apply(step)
                after.apply(step)
                return step
            }
            return step.changingTokens { token in
                func end(_ state: ScriptState) -> Int { token.sequences.elements.map(state.end).max() ?? 0 }
                let gap = part.contains(number) ? 0 : token.position - end(before)
                before.process(token)
                token.position = end(after) + gap
                after.process(token)
                number += 1
            }
        }
        return result
    }
}

extension Step {
    fileprivate func changingTokens(_ change: (inout Batch.Token) -> Void) -> Step {
        func changed(_ batch: Batch) -> Batch {
            Batch(batch.tokens.map { token in
                var token = token
                change(&token)
                return token
            })
        }
        return switch self {
        case .encode(let batch): .encode(changed(batch))
        case .process(let batch): .process(changed(batch))
        default: self
        }
    }

    /// The same with simpler numbers, the simplest first.
    fileprivate var simpler: [Step] {
        switch self {
        case .remove(let sequence, let from, let to):
            [
                .remove(sequence: sequence, from: 0, to: nil), .remove(sequence: sequence, from: from, to: nil),
                .remove(sequence: sequence, from: 0, to: to),
            ]
        case .shift(let sequence, let from, let to, let delta):
            [
                .shift(sequence: sequence, from: 0, by: delta.signum()),
                .shift(sequence: sequence, from: from, by: delta.signum()),
                .shift(sequence: sequence, from: 0, by: delta), .shift(sequence: sequence, from: from, by: delta),
                .shift(sequence: sequence, from: 0, to: to, by: delta.signum()),
            ]
        case .divide(let sequence, let from, _, let divisor):
            [
                .divide(sequence: sequence, from: 0, by: 2), .divide(sequence: sequence, from: from, by: 2),
                .divide(sequence: sequence, from: 0, by: divisor),
            ]
        case .copy(let source, let destination, let from, let to):
            [
                .copy(source: source, destination: destination),
                .copy(source: source, destination: destination, from: from),
                .copy(source: source, destination: destination, to: to),
            ]
        case .save(_?): [.save(sequence: nil)]
        case .encode, .process, .keep, .save(nil), .restore, .clear: []
        }
    }
}
