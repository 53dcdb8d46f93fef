import Architectures
import Engines
import Inference

/// What a session can be asked for, step by step: the rules of `Session`, and those that keep a check meaningful.
struct ScriptRules {
    private(set) var state: ScriptState
    private let check: Check
    private var isEncoded = false

    private var traits: SessionTraits { state.traits }
    private var options: Script.Options { state.options }

    init(_ traits: SessionTraits, _ options: Script.Options, _ check: Check) {
        state = ScriptState(traits, options)
        self.check = check
    }

    mutating func apply(_ step: Step) {
        switch step {
        case .encode: isEncoded = true
        case .clear: isEncoded = false
        default: break
        }
        state.apply(step)
    }

    /// Why a session cannot be asked for a step now, or nothing could be said of what it answers; nil where it can.
    func objection(to step: Step) -> String? {
        if traits.traits.isOfWholeBatches, step.batch == nil { return "nothing is kept between batches" }
        return switch step {
        case .encode(let batch): objection(toEncoding: batch)
        case .process(let batch): objection(to: batch)
        case .remove(let sequence, let from, let to):
            (sequence.map { [$0] } ?? Array(state.histories.indices)).lazy
                .compactMap { objection(toRemoving: $0, .positions(from, to)) }.first
        case .copy(let source, let destination, let from, let to):
            if source == destination {
                "a sequence is no copy of itself"
            } else if let objection = objection(toCopying: source, .positions(from, to)) {
                objection
            } else if traits.traits.hasEncoder, check.comparesHistories {
                "the copy would see another encoded text"
            } else { nil }
        case .shift(let sequence, let from, let to, let delta):
            objection(toMoving: sequence, .positions(from, to)) { $0 + delta }
        case .divide(let sequence, let from, let to, let divisor):
            objection(toMoving: sequence, .positions(from, to)) { $0 / max(1, divisor) }
        case .restore(let sequence): objection(toRestoring: sequence)
        case .keep, .save, .clear: nil
        }
    }

    private func objection(toTokensOf batch: Batch) -> String? {
        if batch.tokens.isEmpty { return "a batch of no tokens" }
        if traits.traits.decides {
            do { _ = try Questions(batch.tokens) } catch { return "\(error)" }
        } else if batch.tokens.contains(where: { $0.order != .none }) {
            return "a question to a model that does not decide"
        }
        let vocabulary = traits.dimensions.vocabulary
        for token in batch.tokens {
            guard traits.takes(token.id), check.takesEmbeddings || !token.isEmbedding else {
                return token.isEmbedding
                    ? "an embedding in place of a token" : "token \(token.id) of a vocabulary of \(vocabulary)"
            }
            if traits.traits.isContext(token.id), token.wantsOutput { return "an output of context" }
            if let limit = traits.positionLimit, token.position >= limit {
                return "position \(token.position) of \(limit)"
            }
            if traits.isRecurrent, token.sequences.count > 1 { return "a token of several recurrent states" }
            if token.sequences.count > 1, !options.settings[.unifiedCache].flag {
                return "a token of several sequences, each of which has a cache of its own"
            }
        }
        return nil
    }

    private func objection(toEncoding batch: Batch) -> String? {
        if !traits.traits.hasEncoder { return "the model has no encoder" }
        return objection(toTokensOf: batch) ?? objection(toOneMicroBatch: batch)
    }

    private func objection(toOneMicroBatch batch: Batch) -> String? {
        batch.tokens.count <= options.microBatch
            ? nil : "\(batch.tokens.count) tokens that belong together in micro-batches of \(options.microBatch)"
    }

    private func objection(to batch: Batch) -> String? {
        if let objection = objection(toTokensOf: batch) { return objection }
        if traits.traits.hasEncoder, !isEncoded { return "nothing has been encoded" }
        if traits.traits.isOfWholeBatches {
            if let objection = objection(toOneMicroBatch: batch) { return objection }
            let context = batch.tokens.map { traits.traits.isContext($0.id) }
            if zip(context, context.dropFirst()).contains(where: { !$0 && $1 }) { return "context after what sees it" }
        }
        if traits.hasCache, batch.tokens.count > state.freeCells {
            return "\(batch.tokens.count) tokens in \(state.freeCells) free cells of \(options.context)"
        }
        guard !traits.traits.isBidirectional else { return nil }
        var ends = state.histories.indices.map { state.end(of: $0) }
        for token in batch.tokens {
            for sequence in token.sequences.elements {
                guard traits.isRecurrent ? token.position == ends[sequence] || ends[sequence] == 0
                    : token.position >= ends[sequence]
                else { return "position \(token.position) of sequence \(sequence), which goes on at \(ends[sequence])" }
                ends[sequence] = token.position + 1
            }
        }
        return nil
    }

    private func objection(toRemoving sequence: Int, _ removed: Range<Int>) -> String? {
        let held = state.histories[sequence].map(\.position)
        let isWhole = held.allSatisfy(removed.contains)
        if traits.isRecurrent, !isWhole, held.contains(where: removed.contains) { return "recurrent state has no past" }
        if check.comparesHistories, !isWhole, removed.upperBound < state.end(of: sequence) {
            return "what follows has been computed with what is removed"
        }
        return nil
    }

    private func objection(toCopying source: Int, _ copied: Range<Int>) -> String? {
        if copied != .allPositions, !options.settings[.unifiedCache].flag {
            return "a part of a sequence, each of which has a cache of its own"
        }
        let held = state.histories[source].map(\.position)
        if held.allSatisfy(copied.contains) { return nil }
        if traits.isRecurrent { return "recurrent state is of the whole sequence" }
        if check.comparesHistories, held.contains(where: { $0 < copied.lowerBound }) {
            return "what is copied has been computed with what is not"
        }
        return nil
    }

    /// - Parameter target: of a position that is moved.
    private func objection(toMoving sequence: Int, _ moving: Range<Int>, to target: (Int) -> Int) -> String? {
        if !traits.canShift { return "positions are mixed into the model's state" }
        if !state.isAlone(sequence) { return "sequence \(sequence) shares tokens with another" }
        let positions = state.histories[sequence].map(\.position)
        let (before, others) = (positions.filter(moving.contains), positions.filter { !moving.contains($0) })
        let moved = before.map(target)
        if !Set(moved).isDisjoint(with: others) { return "two tokens would share a position" }
        // As far as each other as they were.
        let isOneShift = Set(zip(before, moved).map { $1 - $0 }).count <= 1
        let isWhole = traits.isShiftInvariant && others.isEmpty && isOneShift && moved.allSatisfy { $0 >= 0 }
        if check.comparesHistories, !isWhole {
            return "what is moved has been computed where it was"
        }
        return nil
    }

    private func objection(toRestoring sequence: Int?) -> String? {
        guard let saved = state.saved, (saved.sequence == nil) == (sequence == nil) else {
            return "nothing of the kind has been saved"
        }
        guard let sequence, let source = saved.sequence else { return nil }
        if traits.traits.hasEncoder, check.comparesHistories, options.sequences > 1 {
            return "what is restored would see another encoded text"
        }
        let others = state.histories.indices.filter { $0 != sequence }.flatMap { state.histories[$0].map(\.cell) }
        let free = options.context - Set(others).count
        let count = saved.histories[source].count
        return count <= free ? nil : "\(count) tokens in \(free) free cells"
    }
}

extension Script {
    /// What no session of such a model can be asked for: `steps[3].process: nothing has been encoded`; nil where there
    /// is nothing of the kind.
    func objection(_ traits: SessionTraits, _ check: Check) -> String? {
        if steps.isEmpty { return "steps: there are none" }
        for setting in Setting.allCases where !setting.declaration.allows(options.settings[setting], traits, options) {
            return "options.\(setting.rawValue): \(options.settings[setting]) means nothing with such a model and options"
        }
        if check.isOfLosses, onlyBatch?.batch.tokens.parts(of: options.microBatch).count != 1 {
            return "steps: a gradient is of one batch, in one micro-batch"
        }
        if check == .trains, let tokens = onlyBatch?.batch.tokens {
            let isText = tokens.count > 1 && tokens.enumerated().allSatisfy { index, token in
                token.wantsOutput && token.position == index && token.sequences == tokens[0].sequences
            }
            if !isText { return "steps: a text is one sequence of two tokens or more, all of whose outputs are wanted" }
        }
        var rules = ScriptRules(traits, options, check)
        for (number, step) in steps.enumerated() {
            if let reason = rules.objection(to: step) { return "steps[\(number)].\(step.name): \(reason)" }
            rules.apply(step)
        }
        return nil
    }
}

extension Case {
    /// Why it cannot be run, as `Script.objection`; nil where it can.
    /// - Throws: `MetadataError` or `GraphError` where the metadata is no valid model's.
    public func objection() throws -> String? {
        if check == .tokenizes { return tokenization?.flaw.map { "tokenization.\($0)" } }
        if !check.isOfTensors { return nil }
        if check == .malformed {
            do { _ = try damagedFile(source()) } catch let error as ModelError { return "damages: \(error)" }
        }
        return try script.objection(sessionTraits(), check).map { "script.\($0)" }
    }

    /// - Throws: `MetadataError` or `GraphError`.
    func sessionTraits() throws -> SessionTraits {
        try SessionTraits(ArchitectureCatalog.read(metadata), optional: .only(Set(optionalTensors)))
    }
}
