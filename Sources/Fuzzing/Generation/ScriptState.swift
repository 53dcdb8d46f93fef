import Engines
import Inference

/// What a session remembers while it is taken through a script, without any arithmetic: which tokens each sequence
/// holds. It says which steps are legal, and what outputs depend on.
struct ScriptState {
    /// A token that a sequence holds.
    struct Token: Hashable {
        /// Where it is kept; sequences may share it.
        var cell: Int
        var id: Int
        var position: Int

        func isSame(as other: Token) -> Bool { id == other.id && position == other.position }
    }

    let traits: SessionTraits
    let options: Script.Options
    /// The tokens of each sequence, in the order in which they came.
    private(set) var histories: [[Token]]
    /// How many tokens have come so far.
    private(set) var nextCell = 0
    private(set) var saved: (histories: [[Token]], sequence: Int?)?

    init(_ traits: SessionTraits, _ options: Script.Options) {
        self.traits = traits
        self.options = options
        histories = Array(repeating: [], count: options.sequences)
    }

    var usedCells: Int { Set(histories.joined().map(\.cell)).count }
    var freeCells: Int { options.context - usedCells }

    /// The position after the last of a sequence.
    func end(of sequence: Int) -> Int { (histories[sequence].map(\.position).max() ?? -1) + 1 }

    /// The sequences that hold the same tokens as this one, itself included: a token may belong to all of them.
    func alike(_ sequence: Int) -> SequenceSet {
        histories.indices.reduce(into: SequenceSet()) { set, other in
            if histories[other] == histories[sequence] { set.insert(other) }
        }
    }

    /// Whether no other sequence holds one of its tokens.
    func isAlone(_ sequence: Int) -> Bool {
        let own = Set(histories[sequence].map(\.cell))
        return !histories.indices.contains { other in
            other != sequence && histories[other].contains { own.contains($0.cell) }
        }
    }

    mutating func process(_ token: Batch.Token) {
        guard !traits.traits.isOfWholeBatches else { return }
        for sequence in token.sequences.elements {
            histories[sequence].append(Token(cell: nextCell, id: token.id, position: token.position))
        }
        nextCell += 1
    }

    private mutating func move(_ sequence: Int, _ positions: Range<Int>, _ target: (Int) -> Int) {
        histories[sequence] = histories[sequence].compactMap { token in
            var token = token
            if positions.contains(token.position) { token.position = target(token.position) }
            return token.position < 0 ? nil : token
        }
    }

    mutating func apply(_ step: Step) {
        switch step {
        case .encode: break
        case .process(let batch): for token in batch.tokens { process(token) }
        case .remove(let sequence, let from, let to):
            for own in sequence.map({ [$0] }) ?? Array(histories.indices) {
                histories[own].removeAll { Range.positions(from, to).contains($0.position) }
            }
        case .keep(let sequence):
            for other in histories.indices where other != sequence { histories[other] = [] }
        case .copy(let source, let destination, let from, let to):
            guard source != destination else { break }
            histories[destination] = histories[source].filter { Range.positions(from, to).contains($0.position) }
        case .shift(let sequence, let from, let to, let delta): move(sequence, .positions(from, to)) { $0 + delta }
        case .divide(let sequence, let from, let to, let divisor): move(sequence, .positions(from, to)) { $0 / max(1, divisor) }
        case .save(let sequence): saved = (histories, sequence)
        case .restore(let sequence):
            guard let saved else { break }
            if let sequence, let source = saved.sequence {
                histories[sequence] = saved.histories[source].map { token in
                    defer { nextCell += 1 }
                    return Token(cell: nextCell, id: token.id, position: token.position)
                }
            } else {
                histories = saved.histories
            }
        case .clear: histories = histories.map { _ in [] }
        }
    }
}
