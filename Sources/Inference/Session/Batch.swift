/// Tokens to process together.
public struct Batch: Hashable, Sendable {
    public var tokens: [Token]

    public struct Token: Hashable, Sendable {
        /// Of the vocabulary; below 0 an embedding, the one of the number `~id`.
        public var id: Int
        /// Position in its sequences, from 0.
        public var position: Int
        public var sequences: SequenceSet
        /// Whether logits or embeddings of this token are wanted.
        public var wantsOutput: Bool
        /// What it is part of, where the model decides on questions.
        public var order: DecisionOrder

        public init(
            id: Int, position: Int, sequences: SequenceSet = [0], wantsOutput: Bool = true, order: DecisionOrder = .none
        ) {
            self.id = id
            self.position = position
            self.sequences = sequences
            self.wantsOutput = wantsOutput
            self.order = order
        }

        /// Whether it is given as an embedding (`BatchShape.isEmbedded`).
        public var isEmbedding: Bool { id < 0 }

        /// Its number among the tokens, or among the embeddings.
        public var number: Int { isEmbedding ? ~id : id }

        /// The embedding of that number: elements of mean 0 and variance 1, the same everywhere (`WeightGenerator`).
        public func embedding(width: Int) -> [Float] { drawn("embeddings", width) }

        /// The state beside the token of that number, drawn likewise (`Drafting.states`).
        public func state(width: Int) -> [Float] { drawn("states", width) }

        private func drawn(_ name: String, _ width: Int) -> [Float] {
            [Float](unsafeUninitializedCapacity: width) { elements, count in
                let generator = WeightGenerator(seed: UInt64(clamping: number), name: name)
                generator.fill(.init(rebasing: elements[..<width]), from: 0, .normal(mean: 0, deviation: 1))
                count = width
            }
        }
    }

    public init(_ tokens: [Token]) { self.tokens = tokens }

    /// Consecutive tokens of one sequence, all of whose outputs are wanted.
    public init(_ ids: [Int], from position: Int = 0, sequence: Int = 0) {
        tokens = ids.enumerated().map { index, id in
            Token(id: id, position: position + index, sequences: SequenceSet(sequence))
        }
    }
}

extension Collection<Batch.Token> {
    /// Those that a token belongs to.
    public var sequences: SequenceSet { SequenceSet(bits: reduce(0) { $0 | $1.sequences.bits }) }
}

extension Collection<Batch.Token> where Index == Int {
    /// Ranges of tokens of one kind, no longer than `count`: one graph takes ids or embeddings.
    public func parts(of count: Int) -> [Range<Int>] {
        var parts: [Range<Int>] = []
        for index in indices {
            if let last = parts.last, last.count < count, self[last.lowerBound].isEmbedding == self[index].isEmbedding {
                parts[parts.count - 1] = last.lowerBound..<index + 1
            } else {
                parts.append(index..<index + 1)
            }
        }
        return parts
    }
}

// MARK: As JSON: a column for each property, so that a person can read it

extension Batch: Codable {
    private enum CodingKeys: String, CodingKey {
        case ids, positions, sequences
        /// Indices of the tokens whose output is wanted.
        case outputs
        /// Absent where no token has one.
        case orders
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(tokens.map(\.id), forKey: .ids)
        try container.encode(tokens.map(\.position), forKey: .positions)
        try container.encode(tokens.map(\.sequences), forKey: .sequences)
        try container.encode(tokens.indices.filter { tokens[$0].wantsOutput }, forKey: .outputs)
        if tokens.contains(where: { $0.order != .none }) { try container.encode(tokens.map(\.order), forKey: .orders) }
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let ids = try container.decode([Int].self, forKey: .ids)
        let positions = try container.decode([Int].self, forKey: .positions)
        let sequences = try container.decode([SequenceSet].self, forKey: .sequences)
        let outputs = Set(try container.decode([Int].self, forKey: .outputs))
        let orders = try container.decodeIfPresent([DecisionOrder].self, forKey: .orders) ?? ids.map { _ in .none }
        guard positions.count == ids.count, sequences.count == ids.count, orders.count == ids.count,
            outputs.allSatisfy(ids.indices.contains)
        else {
            throw DecodingError.dataCorruptedError(
                forKey: .ids, in: container,
                debugDescription: "\(ids.count) ids, \(positions.count) positions, "
                    + "\(sequences.count) sets of sequences, outputs \(outputs.sorted()), \(orders.count) orders")
        }
        tokens = ids.indices.map {
            Token(
                id: ids[$0], position: positions[$0], sequences: sequences[$0], wantsOutput: outputs.contains($0),
                order: orders[$0])
        }
    }
}
