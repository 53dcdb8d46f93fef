import Devices
import Engines
import Inference
import PropertyTesting

/// Draws scripts, or recovers the choices of one (`like`): every script that it draws is legal for the model.
struct ScriptDrawing {
    let traits: SessionTraits
    let check: Check
    /// What a session remembers so far.
    private var state: ScriptState
    private let options: Script.Options
    private let admitsGaps: Bool
    private let takesEmbeddings: Bool
    /// Whether batches shall mostly be of one token, once there are some: as applications generate text.
    private var isGenerating = false

    static func draw(
        _ choices: inout Choices, _ traits: SessionTraits, _ check: Check, placement: Placement,
        engine: EngineTraits, like target: Script?
    ) throws -> Script {
        let options = try choices.span("options") { choices in
            try drawOptions(&choices, traits, check, engine, like: target?.options)
        }
        var drawing = ScriptDrawing(
            traits: traits, check: check, state: ScriptState(traits, options), options: options,
            admitsGaps: engine.admitsGaps,
            takesEmbeddings: traits.takes(-1) && engine.takesEmbeddings(of: traits.traits) && check.takesEmbeddings)
        let steps = try drawing.drawSteps(&choices, like: target?.steps)
        return Script(placement: placement, options: options, steps: steps)
    }

    // MARK: Options

    static let contexts = [64, 128, 32, 33, 96]
    /// How many, and how often; a server has a slot for each of its users.
    private static let sequences = [(1, 60), (2, 60), (3, 60), (4, 60), (5, 3), (8, 3), (16, 1)]
    static let microBatches = [64, 1, 2, 3, 4, 5, 7, 8, 16, 31, 32, 33]
    /// Where kernels for long prompts begin: seldom, since a case of theirs takes as long as fifty others.
    static let largeMicroBatches = [65, 96, 128, 256]

    private static func drawOptions(
        _ choices: inout Choices, _ traits: SessionTraits, _ check: Check, _ engine: EngineTraits,
        like target: Script.Options?
    ) throws -> Script.Options {
        var options = Script.Options()
        options.sequences = check == .chunking || check == .trains
            ? 1
            : try choices.weighted(
                Self.sequences.filter { $0.0 > 1 || check != .isolation }, like: target?.sequences)
        // Tokens that see each other are computed together; an encoder has a few for each sequence.
        let large = largeMicroBatches.filter { $0 < traits.positionLimit ?? .max }
        options.microBatch = traits.traits.isOfWholeBatches || check.isOfLosses
            ? 64
            : try choices.weighted(
                microBatches.filter { !traits.traits.hasEncoder || $0 >= options.sequences }.map { ($0, 100) }
                    + large.map { ($0, $0 <= 128 ? 2 : 1) },
                like: target?.microBatch)
        // What is large has room for a batch that fills it, and more.
        let least = options.microBatch > 64 ? options.microBatch + 1 : 1
        let contexts = (engine.contextUnit > 1 ? [engine.contextUnit] : Self.contexts)
            .filter { $0 <= traits.positionLimit ?? .max && $0 >= least }
        let unit = max(engine.contextUnit, 32)
        options.context = try choices.element(
            of: contexts.isEmpty ? [(least + unit - 1) / unit * unit] : contexts, like: target?.context)
        // What a narrower cache keeps has no slope.
        options.cacheType = traits.hasCache && !check.isOfLosses
            ? try choices.weighted(cacheTypes(traits, engine), like: target?.cacheType) : .full
        for setting in Setting.allCases
        where engine.settings.contains(setting) && (check == .malformed || !setting.isOfDamage) {
            let values = setting.declaration.values.filter { setting.declaration.allows($0.value, traits, options) }
                // Where they are compared, each is as frequent as any other.
                .map { ($0.value, check == .settings ? 1 : $0.weight) }
            guard values.count > 1 else {
                if let only = values.first { options.settings[setting] = only.0 }
                continue
            }
            options.settings[setting] = try choices.weighted(values, like: target.map { $0.settings[setting] })
        }
        return options
    }

    private static func cacheTypes(_ traits: SessionTraits, _ engine: EngineTraits) -> [(StateType, Int)] {
        engine.cacheTypes.filter { $0.blockSize == 1 || traits.hasBlockCache }
            .map { ($0, $0 == .full ? 12 : $0 == .half ? 4 : 1) }
    }

    // MARK: Steps

    private mutating func drawSteps(_ choices: inout Choices, like target: [Step]?) throws -> [Step] {
        var steps: [Step] = []
        var target = target
        if traits.traits.hasEncoder {
            var source: Batch?
            if case .encode(let batch)? = target?.first {
                source = batch
                target?.removeFirst()
            }
            steps.append(.encode(try choices.span("encode") { try drawEncoder(&$0, like: source) }))
        }
        let isOfStates = check == .state || options.settings[.damagedStates] != Setting.damagedStates.plain
        let kinds = isOfStates ? Kind.allCases : choices.swarmHint(of: Kind.allCases)
        isGenerating = !traits.traits.isOfWholeBatches && choices.chance(1, in: 24)
        var drawing = self
        // An encoder's own output is worth a case.
        let least = traits.traits.hasEncoder && !check.isOfLosses ? 0 : 1
        let drawn = try choices.list(
            count: least...(check.isOfLosses ? 1 : 32), usually: isGenerating ? 28 : kinds.count > 2 ? 6 : 4,
            like: target
        ) { choices, target in
            let step = try drawing.drawStep(&choices, kinds, like: target)
            drawing.state.apply(step)
            return step
        }
        self = drawing
        return steps + drawn
    }

    /// Steps other than `process`; which of them a case has at all is part of its swarm.
    private enum Kind: String, CaseIterable {
        case remove, copy, shift, save, restore, keep, clear, divide

        /// How often it is drawn where the swarm has it; `process` has 6.
        var weight: Int {
            switch self {
            case .shift: 3
            case .remove, .copy, .save: 2
            // What is saved shall mostly be restored.
            case .restore: 4
            case .keep, .clear, .divide: 1
            }
        }
    }

    private func isLegal(_ kind: Kind) -> Bool {
        if traits.traits.isOfWholeBatches { return false }
        let hasTokens = state.histories.contains { !$0.isEmpty }
        return switch kind {
        // A model with an encoder would have to encode again.
        case .clear: hasTokens && !traits.traits.hasEncoder
        case .keep: hasTokens && options.sequences > 1
        case .remove, .save: hasTokens
        case .copy: hasTokens && options.sequences > 1 && !(traits.traits.hasEncoder && check.comparesHistories)
        case .shift: traits.canShift && !shiftable.isEmpty
        // What has been computed at one distance is at another then.
        case .divide: traits.canShift && !check.comparesHistories && !shiftable.isEmpty
        case .restore: canRestore
        }
    }

    private var canRestore: Bool {
        guard let saved = state.saved else { return false }
        guard let sequence = saved.sequence else { return true }
        if traits.traits.hasEncoder && check.comparesHistories && options.sequences > 1 { return false }
        return saved.histories[sequence].count <= state.freeCells
    }

    /// Sequences whose positions can change.
    private var shiftable: [Int] {
        guard !check.comparesHistories || traits.isShiftInvariant else { return [] }
        return state.histories.indices.filter { !state.histories[$0].isEmpty && state.isAlone($0) }
    }

    private func drawStep(_ choices: inout Choices, _ hinted: [Kind], like target: Step?) throws -> Step {
        let legal = check == .chunking || check.isOfLosses ? [] : Kind.allCases.filter(isLegal)
        let ends = (0..<options.sequences).map { state.end(of: $0) }
        var alternatives: [(Kind?, Int)] = legal.map { ($0, hinted.contains($0) ? $0.weight : 0) }
        if state.freeCells > 0, !sets(state, ends).isEmpty { alternatives.insert((nil, 6), at: 0) }
        // Where all is full and nothing may go, a step that changes nothing.
        if alternatives.isEmpty { alternatives = [(.save, 1)] }
        let kind = try choices.weighted(alternatives, like: target.map { Kind(rawValue: $0.name) })
        switch kind {
        case nil:
            var batch: Batch?
            if case .process(let tokens)? = target { batch = tokens }
            return .process(try traits.traits.decides
                ? drawPrompt(&choices, like: batch) : drawBatch(&choices, like: batch))
        case .remove: return try drawRemoval(&choices, like: target)
        case .keep:
            var sequence: Int?
            if case .keep(let kept)? = target { sequence = kept }
            return .keep(sequence: try choices.integer(in: 0...(options.sequences - 1), like: sequence))
        case .copy: return try drawCopy(&choices, like: target)
        case .shift: return try drawShift(&choices, like: target)
        case .divide: return try drawDivision(&choices, like: target)
        case .save:
            var sequence: Int??
            if case .save(let saved)? = target { sequence = .some(saved) }
            let own: [Int?] = state.histories.indices.filter { !state.histories[$0].isEmpty }
            return .save(sequence: try choices.element(of: [nil] + own, like: sequence))
        case .restore:
            guard state.saved?.sequence != nil else { return .restore(sequence: nil) }
            var sequence: Int?
            if case .restore(let restored)? = target { sequence = restored }
            return .restore(sequence: try choices.integer(in: 0...(options.sequences - 1), like: sequence))
        case .clear: return .clear
        }
    }

    /// Positions stay below this.
    private var limit: Int { traits.positionLimit ?? 1 << 14 }

    /// By how much a token's position is further than the next: seldom at all, and seldom so far that the chunks and
    /// temperatures of long contexts begin.
    private var gaps: [(Int, Int)] {
        [(0, 30), (1, 2), (2, 1), (5, 1)] + (traits.positionLimit == nil ? [(8190, 1)] : [])
    }

    /// The whole of a sequence, its tail, or, where nothing is said of histories, any part of it.
    private func drawRemoval(_ choices: inout Choices, like target: Step?) throws -> Step {
        var (wanted, first, last): (Int??, Int?, Int??) = (nil, nil, nil)
        if case .remove(let sequence, let from, let to)? = target {
            (wanted, first, last) = (.some(sequence), from, .some(to))
        }
        let held: [(Int?, Int)] = state.histories.indices.filter { !state.histories[$0].isEmpty }.map { ($0, 8) }
        let sequence = try choices.weighted(held + [(nil, 1)], like: wanted)
        // Recurrent state has no past: only all of it can go.
        if traits.isRecurrent {
            return .remove(sequence: sequence, from: try choices.element(of: [0], like: first), to: nil)
        }
        let positions = sequence.map { state.histories[$0] } ?? state.histories.flatMap { $0 }
        let start = positions.map(\.position).min() ?? 0, end = (positions.map(\.position).max() ?? -1) + 1
        let from = try choices.element(of: [0] + Array(start..<end).filter { $0 > 0 }, like: first)
        let ends: [Int?] = check.comparesHistories || from + 1 >= end ? [nil] : [nil] + Array(from + 1..<end)
        return .remove(sequence: sequence, from: from, to: try choices.element(of: ends, like: last))
    }

    private func drawCopy(_ choices: inout Choices, like target: Step?) throws -> Step {
        var (wanted, goal, first, last): (Int?, Int?, Int?, Int??) = (nil, nil, nil, nil)
        if case .copy(let source, let destination, let from, let to)? = target {
            (wanted, goal, first, last) = (source, destination, from, .some(to))
        }
        let source = try choices.element(
            of: state.histories.indices.filter { !state.histories[$0].isEmpty }, like: wanted)
        let destination = try choices.element(of: state.histories.indices.filter { $0 != source }, like: goal)
        // Recurrent state, and a cache of each sequence's own, is copied as a whole.
        let isDivisible = !traits.isRecurrent && options.settings[.unifiedCache].flag
        let positions = isDivisible ? state.histories[source].map(\.position) : []
        let (start, end) = (positions.min() ?? 0, positions.max() ?? 0)
        // What comes first says nothing of what follows, but not the other way round.
        let starts: [(Int, Int)] = check.comparesHistories ? [] : (start..<end).map { ($0 + 1, 1) }
        let from = try choices.weighted([(0, 2 * starts.count + 1)] + starts, like: first)
        let ends: [(Int?, Int)] = from < end ? (max(from, start)..<end).map { ($0 + 1, 1) } : []
        let to = try choices.weighted([(nil, 2 * ends.count + 1)] + ends, like: last)
        return .copy(source: source, destination: destination, from: from, to: to)
    }

    private func drawShift(_ choices: inout Choices, like target: Step?) throws -> Step {
        var (wanted, first, last, delta): (Int?, Int?, Int??, Int?) = (nil, nil, nil, nil)
        if case .shift(let sequence, let from, let to, let by)? = target {
            (wanted, first, last, delta) = (sequence, from, .some(to), by)
        }
        let sequence = try choices.element(of: shiftable, like: wanted)
        let (from, to, moved, others) = try drawPart(&choices, of: sequence, first, last)
        // Those that would meet others, or come before position 0, stay out: the latter are a removal.
        let legal = [1, 2, 3, 7, 32, -1, -2, -3].filter { delta in
            moved.allSatisfy { $0 + delta >= 0 && !others.contains($0 + delta) && $0 + delta < limit }
        }
        return .shift(
            sequence: sequence, from: from, to: to, by: legal.isEmpty ? 0 : try choices.element(of: legal, like: delta))
    }

    private func drawDivision(_ choices: inout Choices, like target: Step?) throws -> Step {
        var (wanted, first, last, divisor): (Int?, Int?, Int??, Int?) = (nil, nil, nil, nil)
        if case .divide(let sequence, let from, let to, let by)? = target {
            (wanted, first, last, divisor) = (sequence, from, .some(to), by)
        }
        let sequence = try choices.element(of: shiftable, like: wanted)
        let (from, to, moved, others) = try drawPart(&choices, of: sequence, first, last)
        // 1 changes nothing.
        let legal = [2, 3, 4, 8].filter { divisor in moved.allSatisfy { !others.contains($0 / divisor) } }
        return .divide(
            sequence: sequence, from: from, to: to,
            by: legal.isEmpty ? 1 : try choices.element(of: legal, like: divisor))
    }

    /// A part of the positions of a sequence, which are to be moved: all of them where histories are compared, since
    /// moving a part says nothing of what has been computed with it where it was.
    /// - Returns: the positions in that part, and the others, too.
    private func drawPart(
        _ choices: inout Choices, of sequence: Int, _ first: Int?, _ last: Int??
    ) throws -> (from: Int, to: Int?, moved: [Int], others: Set<Int>) {
        let positions = state.histories[sequence].map(\.position)
        func part(_ from: Int, _ to: Int?) -> (from: Int, to: Int?, moved: [Int], others: Set<Int>) {
            let range = Range.positions(from, to)
            return (from, to, positions.filter(range.contains), Set(positions.filter { !range.contains($0) }))
        }
        if check.comparesHistories { return part(0, nil) }
        let (start, end) = (positions.min() ?? 0, positions.max() ?? 0)
        let from = try choices.element(of: [0] + Array(start...end).filter { $0 > 0 }, like: first)
        let ends: [(Int?, Int)] = from < end ? (max(from, start)..<end).map { ($0 + 1, 1) } : []
        return part(from, try choices.weighted([(nil, 3 * ends.count + 1)] + ends, like: last))
    }

    // MARK: Batches

    /// Tokens that a toy learns by heart in a hundred steps or two.
    static let longestText = 8

    /// Which tokens of a batch want their output.
    private enum Outputs: CaseIterable { case last, all, some }

    private func drawBatch(_ choices: inout Choices, like target: Batch?) throws -> Batch {
        var later = state
        // What sees nothing but its batch begins anew with each.
        let remembers = !traits.traits.isOfWholeBatches
        let most = remembers && !check.isOfLosses ? max(64, options.microBatch + 1) : options.microBatch
        var free = min(later.freeCells, most)
        var ends = (0..<options.sequences).map { remembers ? later.end(of: $0) : 0 }
        let goesOn = isGenerating && state.nextCell > 0
        // Tokens of sequences in turn, in place of one sequence after the other.
        let isInterleaved = options.sequences > 1 && choices.chance(1, in: 12)
        let mostRuns = check == .chunking || check == .trains ? 1 : 12
        let isDraft = traits.traits.drafting != nil
        var mayBeEmbedded = takesEmbeddings
        let tokens = try choices.list(
            count: 1...mostRuns, usually: isInterleaved ? mostRuns : min(4, options.sequences),
            like: target.map(Self.runs)
        ) { choices, run in
            guard free > 0 else { return [Batch.Token]() }
            let sets = sets(later, ends)
            guard !sets.isEmpty else { return [] }
            let sequences = try choices.element(of: sets, like: run?.sequences)
            let first = sequences.first ?? 0
            // Recurrent state and windows admit no gap; of the others few have one.
            let hasGaps = !traits.isRecurrent && !traits.hasPositionWindows && remembers && check != .trains
                && (admitsGaps || ends[first] == 0)
            let gap = !hasGaps
                ? 0 : try choices.weighted(gaps, like: run.map { $0.position - ends[first] })
            let room = max(1, min(free, limit - ends[first] - gap, check == .trains ? Self.longestText : .max))
            let usually = goesOn || isInterleaved ? 1
                : choices.chance(1, in: options.microBatch > 64 ? 2 : 24) ? room : min(room, 5)
            let isEmbedded = try mayBeEmbedded
                && choices.weighted([(false, isDraft ? 2 : 8), (true, 1)], like: run.map(\.isEmbedded))
            // Context comes before the tokens that see it.
            if !isEmbedded, !remembers { mayBeEmbedded = false }
            let numbers = 0...(isEmbedded && traits.traits.drafting != .states ? 63 : traits.dimensions.vocabulary - 1)
            func turned(_ id: Int) -> Int { isEmbedded ? ~id : id }
            let least = min(room, check == .trains ? 2 : 1)
            let ids = try choices.list(count: least...room, usually: usually, like: run?.ids) { choices, id in
                turned(try choices.integer(in: numbers, like: id.map(turned)))
            }
            free -= ids.count
            let start = ends[first] + gap
            let drawn = ids.enumerated().map { Batch.Token(id: $1, position: start + $0, sequences: sequences) }
            for token in drawn { later.process(token) }
            for sequence in sequences.elements { ends[sequence] = start + ids.count }
            return drawn
        }.flatMap { $0 }
        return Batch(try drawOutputs(&choices, tokens, like: target))
    }

    /// One prompt of one sequence.
    private func drawPrompt(_ choices: inout Choices, like target: Batch?) throws -> Batch {
        let sequence = try choices.integer(
            in: 0...(options.sequences - 1), like: target?.tokens.first?.sequences.first)
        var drawing = PromptDrawing(
            room: min(state.freeCells, options.microBatch, limit), vocabulary: traits.dimensions.vocabulary)
        let tokens = try drawing.draw(&choices, like: target)
        return Batch(tokens.enumerated().map { position, token in
            Batch.Token(id: token.id, position: position, sequences: SequenceSet(sequence), order: token.order)
        })
    }

    /// Which sequences a token may belong to: one, or several that hold the same.
    private func sets(_ state: ScriptState, _ ends: [Int]) -> [SequenceSet] {
        let single = (0..<options.sequences).filter { ends[$0] < limit - 8 }.map { SequenceSet($0) }
        guard !traits.isRecurrent, !traits.traits.isOfWholeBatches, !traits.traits.hasEncoder,
            options.settings[.unifiedCache].flag
        else { return single }
        let groups = (0..<options.sequences).map { state.alike($0) }
            .filter { $0.count > 1 && ends[$0.first ?? 0] < limit - 8 }
        return single + groups.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }

    private func drawOutputs(
        _ choices: inout Choices, _ tokens: [Batch.Token], like target: Batch?
    ) throws -> [Batch.Token] {
        guard !tokens.isEmpty else { return tokens }
        // Pooled embeddings are of all tokens.
        if traits.traits.pooling != .none { return tokens }
        let giving = tokens.indices.filter { !traits.traits.isContext(tokens[$0].id) }
        let wanted = target.map { $0.tokens.map(\.wantsOutput) }
        let goal = target.map { batch -> Outputs in
            let flags = batch.tokens.filter { !traits.traits.isContext($0.id) }.map(\.wantsOutput)
            return flags.allSatisfy { $0 } && flags.count > 1
                ? .all : flags.last == true && !flags.dropLast().contains(true) ? .last : .some
        }
        let outputs = check == .trains ? .all : try choices.weighted([(.last, 2), (.all, 5), (.some, 2)], like: goal)
        return tokens.enumerated().map { index, token in
            var token = token
            token.wantsOutput = switch outputs {
            case _ where traits.traits.isContext(token.id): false
            case .all: true
            case .last: index == giving.last
            case .some: choices.boolean(like: wanted?[index])
            }
            return token
        }
    }

    private func drawEncoder(_ choices: inout Choices, like target: Batch?) throws -> Batch {
        let all = SequenceSet(bits: 1 << UInt32(options.sequences) - 1)
        let isSplit = options.sequences > 1
            && choices.boolean(like: target.map { $0.tokens.contains { $0.sequences != all } })
        let sets = isSplit ? (0..<options.sequences).map { SequenceSet($0) } : [all]
        var tokens: [Batch.Token] = []
        for set in sets {
            let own = target.map { $0.tokens.filter { $0.sequences == set }.map(\.id) }
            // An encoder's tokens see each other, so one micro-batch holds them all.
            let room = max(1, min(16, options.microBatch / sets.count))
            // A sequence may have no source: its cross-attention sees nothing. Alone it would have to encode nothing.
            let least = isSplit && !check.comparesHistories && !tokens.isEmpty ? 0 : 1
            let ids = try choices.list(count: least...room, usually: 4, like: own) { choices, id in
                try choices.integer(in: 0...(traits.dimensions.vocabulary - 1), like: id)
            }
            tokens += ids.enumerated().map { Batch.Token(id: $1, position: $0, sequences: set) }
        }
        return Batch(tokens)
    }

    // MARK: Recovering

    /// Consecutive tokens of one set of sequences, without gaps between them.
    struct Run {
        var sequences: SequenceSet
        var position: Int
        var ids: [Int]
        /// Whether they are embeddings.
        var isEmbedded: Bool
    }

    static func runs(of batch: Batch) -> [Run] {
        var runs: [Run] = []
        for token in batch.tokens {
            if let last = runs.last, last.sequences == token.sequences, last.isEmbedded == token.isEmbedding,
                last.position + last.ids.count == token.position
            {
                runs[runs.count - 1].ids.append(token.id)
            } else {
                runs.append(Run(sequences: token.sequences, position: token.position, ids: [token.id],
                    isEmbedded: token.isEmbedding))
            }
        }
        return runs
    }
}
