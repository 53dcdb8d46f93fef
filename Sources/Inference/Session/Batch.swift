/// Tokens to process together.
public struct Batch: Hashable, Sendable, Codable {
    public var tokens: [Token]

    public struct Token: Hashable, Sendable, Codable {
        public var id: Int
        /// Position in its sequences, from 0.
        public var position: Int
        public var sequences: SequenceSet
        /// Whether logits or embeddings of this token are wanted.
        public var wantsOutput: Bool

        public init(id: Int, position: Int, sequences: SequenceSet = [0], wantsOutput: Bool = true) {
            self.id = id
            self.position = position
            self.sequences = sequences
            self.wantsOutput = wantsOutput
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
