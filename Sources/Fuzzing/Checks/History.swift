import Architectures
import Engines
import Inference

/// What the outputs of a script depend on, if all is well: a token's on the tokens of its sequence up to it, and on
/// nothing else. Not on how they were split into batches, what other sequences did, or what was saved, copied, removed
/// and restored meanwhile.
///
/// So a script has an equivalent without any of that: each sequence by itself, in one batch, in a session of its own.
struct History {
    /// One of the sequences that the script made, processed by itself.
    struct Plain {
        var script: Script
        /// Where its last step's outputs belong: a row of that step, and the row of the original script's step.
        var rows: [(key: Int, step: Int, original: Int)]
    }
    let plain: [Plain]

    /// - Precondition: the script preserves histories: see `ScriptState`.
    init(_ script: Script, _ traits: SessionTraits) {
        if traits.traits.isOfWholeBatches {
            plain = Self.batches(script, traits.traits)
            return
        }
        var state = ScriptState(traits, script.options)
        /// Every output with the history of its token.
        var outputs: [(history: [ScriptState.Token], sequence: Int, step: Int, key: Int)] = []
        var encoder: Batch?
        for (index, step) in script.steps.enumerated() {
            if case .encode(let batch) = step { encoder = batch }
            if case .process(let batch) = step {
                for (key, token) in batch.tokens.enumerated() {
                    state.process(token)
                    if token.wantsOutput, let sequence = token.sequences.first {
                        outputs.append((state.histories[sequence], sequence, index, key))
                    }
                }
            } else {
                state.apply(step)
            }
        }

        // A history that another one goes on from is part of that one's batch.
        var plain: [Plain] = []
        var batches: [(tokens: [ScriptState.Token], encoder: [Batch.Token])] = []
        for output in outputs.sorted(by: { $0.history.count > $1.history.count }) {
            let source = encoder?.tokens.filter { $0.sequences.contains(output.sequence) }.map {
                Batch.Token(id: $0.id, position: $0.position)
            } ?? []
            let row = (key: output.history.count - 1, step: output.step, original: output.key)
            let found = batches.indices.first {
                batches[$0].encoder == source && batches[$0].tokens.starts(with: output.history) { $0.isSame(as: $1) }
            }
            if let found {
                plain[found].rows.append(row)
                continue
            }
            batches.append((output.history, source))
            var options = script.options
            options.sequences = 1
            options.microBatch = max(options.microBatch, output.history.count)
            let tokens = output.history.map {
                Batch.Token(id: $0.id, position: $0.position, wantsOutput: !traits.traits.isContext($0.id))
            }
            plain.append(
                Plain(
                    script: Script(
                        placement: script.placement, options: options,
                        steps: (source.isEmpty ? [] : [.encode(Batch(source))]) + [.process(Batch(tokens))]),
                    rows: [row]))
        }
        self.plain = plain
    }

    /// Of a model that keeps nothing between batches: each sequence of each batch.
    private static func batches(_ script: Script, _ traits: Traits) -> [Plain] {
        script.steps.enumerated().flatMap { index, step -> [Plain] in
            guard case .process(let batch) = step else { return [] }
            return batch.tokens.sequences.elements.map { sequence in
                let members = batch.tokens.indices.filter { batch.tokens[$0].sequences.contains(sequence) }
                var options = script.options
                options.sequences = 1
                let tokens = members.map {
                    Batch.Token(
                        id: batch.tokens[$0].id, position: batch.tokens[$0].position,
                        wantsOutput: batch.tokens[$0].wantsOutput, order: batch.tokens[$0].order)
                }
                let rows = if traits.decides {
                    ((try? Questions(tokens))?.options ?? []).indices.map { (key: $0, step: index, original: $0) }
                } else if traits.pooling != .none {
                    [(key: 0, step: index, original: sequence)]
                } else {
                    members.enumerated().filter { batch.tokens[$1].wantsOutput }
                        .map { (key: $0, step: index, original: $1) }
                }
                return Plain(
                    script: Script(placement: script.placement, options: options, steps: [.process(Batch(tokens))]),
                    rows: rows)
            }
        }
    }
}
