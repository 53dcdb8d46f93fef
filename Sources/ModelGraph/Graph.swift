import GGUF

public typealias ValueID = Int
public typealias StateID = Int

public enum Element: String, Hashable, Sendable {
    /// A number in the device's own precision.
    case real
    /// A 32-bit integer: token, position, cell, expert.
    case index
}

/// What a session supplies with each batch.
public enum Input: String, Hashable, Sendable, CaseIterable {
    /// `[T]` token ids.
    case tokens
    /// `[T]` position of each token in its sequence.
    case positions
    /// `[T]` bit set of the sequences that each token belongs to.
    case sequences
    /// `[T]` slot of the recurrent state of each token's sequence.
    case slots
    /// `[T]` cell of the caches that each token is written to.
    case cells
    /// `[C]` position held by each cell, −1 where empty.
    case cellPositions
    /// `[C]` bit set of the sequences of each cell.
    case cellSequences
    /// `[R]` tokens whose output is wanted, ascending.
    case outputs
    /// `[S, R]` real: weight of each output row in the pooled embedding of each sequence.
    case pooling
    /// `[X, D]` real: the encoder's output.
    case encoderOutput
    /// `[X]` position of each encoder token.
    case encoderPositions
    /// `[X]` bit set of the sequences of each encoder token.
    case encoderSequences
    /// `[T, …]` real: what was made before of each token, or of the one before it: by the model's last block, a
    /// prediction block, a draft or its target.
    case hidden
    /// `[T, …]` real: what tokens are given as in place of their ids: their rows of the residual stream, and what
    /// models add to it later.
    case embeddings
    /// `[Q, T]` real: weight of each token in the mean of each question's text.
    case questions
    /// `[Q]` which kind each question is of, from 0.
    case questionKinds
    /// `[O, T]` real: weight of each token in the mean of each option's text.
    case options
    /// `[O]` the question of each option.
    case optionQuestions
    /// `[Q, O]` real: 0 where the option is the question's, −∞ elsewhere.
    case ownOptions
    /// `[C]` by how much the position of each cell changes (only in the graph that shifts a cache).
    case shifts
    /// `[R]` what each row of the output is to predict, −1 where nothing (only where there is a loss).
    case targets
    /// `[X, D]` real: what the loss of a decoder gives to the encoder's output (only in the graph of its gradient).
    case cotangent

    public var element: Element {
        let reals: Set<Input> = [
            .pooling, .encoderOutput, .hidden, .embeddings, .questions, .options, .ownOptions, .cotangent,
        ]
        return reals.contains(self) ? .real : .index
    }
}

/// A tensor of the model that a graph uses.
public struct Weight: Hashable, Sendable {
    public var name: String
    public var shape: Shape
    public var role: Role
    public var isOptional: Bool
    /// The block it belongs to, nil outside the blocks.
    public var layer: Int?
    /// Of distinct whole numbers: what they are below.
    public var bound = 0

    public init(name: String, shape: Shape, role: Role, isOptional: Bool, layer: Int? = nil, bound: Int = 0) {
        self.name = name
        self.shape = shape
        self.role = role
        self.isOptional = isOptional
        self.layer = layer
        self.bound = bound
    }

    /// What a weight means; the weight recipe draws it accordingly.
    public enum Role: String, Hashable, Sendable, CaseIterable {
        /// Rows looked up by token or position.
        case embedding
        /// A matrix applied to activations; the last dimension is the fan-in.
        case projection
        /// A projection to queries whose attention does not divide scores by `√head size`.
        case unscaledQuery
        /// The matrix that scores experts.
        case router
        /// A scale near one, after a norm.
        case scale
        /// An offset near zero.
        case bias
        /// An offset that only selects experts.
        case selectionBias
        /// The state decay `A`: negative.
        case decay
        /// The offset of a time step before softplus.
        case timeStepBias
        /// A short convolution's kernel, `[channels, taps]`.
        case convolution
        /// A learned attention score.
        case sink
        /// Divisors of RoPE frequencies: positive.
        case ropeFactor
        /// A learned relative position score.
        case positionBias
        /// Weights of a blend of two values, in 0 ... 1.
        case blend
        /// Distinct whole numbers, below the weight's bound.
        case places
    }
}

/// Memory that outlives a batch.
public struct State: Hashable, Sendable {
    public enum Kind: String, Hashable, Sendable {
        /// One row a cell of the key/value cache.
        case cache
        /// One row a sequence.
        case recurrent
    }
    public var id: StateID
    public var name: String
    public var kind: Kind
    /// Shape of one cell or slot.
    public var row: Shape
    /// The rotation of keys in this cache: shifting a sequence rotates them on.
    public var rotation: Rotation?
    /// Whether it is a cache of values beside one of keys.
    public var holdsValues = false
    public var layer: Int?

    public struct Rotation: Hashable, Sendable {
        public var rope: Rope
        /// Name of the weight that holds frequency factors.
        public var factors: String?
        public init(rope: Rope, factors: String?) {
            self.rope = rope
            self.factors = factors
        }
    }
}

/// One operation.
public struct Node: Hashable, Sendable {
    public var op: Op
    public var operands: [ValueID]
    public var result: ValueID
    /// The block it belongs to, nil outside the blocks.
    public var layer: Int?
}

/// Where a value comes from.
public enum Source: Hashable, Sendable {
    case input(Input)
    case weight(Int)
    case node(Int)
}

/// A static list of operations over values of known shape, in an order in which they can run.
public struct Graph: Sendable {
    public struct ValueInfo: Sendable {
        public var shape: Shape
        public var element: Element
        public var source: Source
    }
    public internal(set) var values: [ValueInfo] = []
    public internal(set) var nodes: [Node] = []
    public internal(set) var weights: [Weight] = []
    public internal(set) var states: [State] = []
    public internal(set) var inputs: [Input: ValueID] = [:]
    /// The graph's results by name.
    public internal(set) var outputs: [Output: ValueID] = [:]

    public enum Output: Hashable, Sendable {
        case logits, embeddings
        /// The residual stream after a block, of all tokens of the batch.
        case block(Int)
        /// `[1]`: see `Graph.withLoss`.
        case loss
        /// What the loss changes by with each element of a weight.
        case gradient(weight: String)
        /// And with each element of an input.
        case cotangent(Input)

        public var name: String {
            switch self {
            case .logits: "logits"
            case .embeddings: "embeddings"
            case .block(let number): "block \(number)"
            case .loss: "loss"
            case .gradient(let weight): "gradient of \(weight)"
            case .cotangent(let input): "gradient of \(input.rawValue)"
            }
        }
    }

    public init() {}

    /// The same graph with the residual stream after each block among its results: what the last node of the block
    /// makes.
    public var withBlocks: Graph {
        var graph = self
        for node in nodes {
            if let layer = node.layer { graph.outputs[.block(layer)] = node.result }
        }
        return graph
    }
}
