import Devices
import Inference

/// The life of one session: how it is made, and what it is asked for.
public struct Script: Hashable, Sendable, Codable {
    public var placement: Placement
    public var options: Options
    public var steps: [Step]

    public init(placement: Placement, options: Options = Options(), steps: [Step]) {
        self.placement = placement
        self.options = options
        self.steps = steps
    }

    public struct Options: Hashable, Sendable, Codable {
        /// Cells of the caches: tokens that all sequences together may hold.
        public var context: Int
        /// Sequences are numbered `0 ..< sequences`.
        public var sequences: Int
        /// Tokens that are computed together; longer batches are split.
        public var microBatch: Int
        public var cacheType: StateType
        // What only some engines let a session choose, see `EngineTraits`; nil: it is the engine's own choice.
        /// Attention in one pass over the keys, without a matrix of all scores.
        public var flashAttention: Bool?
        /// Threads that compute one batch.
        public var threads: Int?
        /// One cache for all sequences, or a part of its own for each.
        public var unifiedCache: Bool?
        /// How outputs are read; nil: each by the index of its token in the batch.
        public var outputAccess: OutputAccess?
        // For the builtin engine's `reference` only:
        /// How every result is rounded at random.
        public var rounding: Rounding?
        /// What the first discontinuous decisions take, whatever the scores; see `Transcript.decisions`.
        public var decisions: [[Int]]?

        public init(
            context: Int = 64, sequences: Int = 1, microBatch: Int = 64, cacheType: StateType = .full,
            rounding: Rounding? = nil
        ) {
            self.context = context
            self.sequences = sequences
            self.microBatch = microBatch
            self.cacheType = cacheType
            self.rounding = rounding
        }
    }

    /// Ways to read outputs beside that by the index of a token. An engine that keeps outputs in another order than the
    /// batch has them sorts them for each way by itself.
    public enum OutputAccess: String, Hashable, Sendable, Codable, CaseIterable {
        /// Each by its number, counted back from the last output.
        case fromEnd
        /// All as one array, whose rows are in the order of the batch.
        case array
    }

    /// The only batch that it processes, and what it encodes before; nil where it does anything else.
    public var onlyBatch: (source: Batch?, batch: Batch)? {
        switch (steps.first, steps.last, steps.count) {
        case (.process(let batch)?, _, 1): (nil, batch)
        case (.encode(let source)?, .process(let batch)?, 2): (source, batch)
        default: nil
        }
    }

    /// The same script with everything on one device.
    public func on(_ device: String) -> Script {
        var script = self
        script.placement = Placement(device)
        return script
    }
}

/// One thing that a session is asked for.
public enum Step: Hashable, Sendable {
    /// Runs the encoder of a model that has one; what the decoder sees from then on.
    case encode(Batch)
    /// Processes tokens and gives the outputs that they want.
    case process(Batch)
    /// Takes the positions `from ..< to` out of a sequence; nil: to its end.
    case remove(sequence: Int, from: Int, to: Int?)
    /// Removes every other sequence.
    case keep(sequence: Int)
    /// Makes `destination` a copy of the whole of `source`.
    case copy(source: Int, destination: Int)
    /// Moves the positions from `from` on by `delta`.
    case shift(sequence: Int, from: Int, by: Int)
    /// Keeps what the session, or one sequence of it, remembers.
    case save(sequence: Int?)
    /// Goes back to what was last kept; of one sequence, into the sequence `sequence`.
    case restore(sequence: Int?)
    case clear

    /// As reports name it.
    public var name: String { keyed.key.rawValue }
    /// The names of all kinds of steps.
    public static var names: [String] { Key.allCases.map(\.rawValue) }
    /// The name of the step that only models with an encoder have.
    public static var encoding: String { Key.encode.rawValue }
    /// The tokens that it processes.
    public var batch: Batch? { keyed.batch }
}

// MARK: As JSON: one key that names the step, and its parameters

extension Step: Codable {
    enum Key: String, CodingKey, CaseIterable {
        case encode, process, remove, keep, copy, shift, save, restore, clear
    }

    fileprivate struct Parameters: Codable {
        var sequence: Int?
        var from: Int?
        var to: Int?
        var source: Int?
        var destination: Int?
        var by: Int?
    }

    private var keyed: (key: Key, batch: Batch?, parameters: Parameters) {
        switch self {
        case .encode(let batch): (.encode, batch, Parameters())
        case .process(let batch): (.process, batch, Parameters())
        case .remove(let sequence, let from, let to): (.remove, nil, Parameters(sequence: sequence, from: from, to: to))
        case .keep(let sequence): (.keep, nil, Parameters(sequence: sequence))
        case .copy(let source, let destination):
            (.copy, nil, Parameters(source: source, destination: destination))
        case .shift(let sequence, let from, let by): (.shift, nil, Parameters(sequence: sequence, from: from, by: by))
        case .save(let sequence): (.save, nil, Parameters(sequence: sequence))
        case .restore(let sequence): (.restore, nil, Parameters(sequence: sequence))
        case .clear: (.clear, nil, Parameters())
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        let (key, batch, parameters) = keyed
        if let batch { try container.encode(batch, forKey: key) } else { try container.encode(parameters, forKey: key) }
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        guard container.allKeys.count == 1, let key = container.allKeys.first else {
            throw DecodingError.dataCorrupted(.init(
                codingPath: decoder.codingPath,
                debugDescription: "a step has one key: \(Key.allCases.map(\.rawValue).joined(separator: ", "))"))
        }
        func batch() throws -> Batch { try container.decode(Batch.self, forKey: key) }
        let parameters = [.encode, .process].contains(key)
            ? Parameters() : try container.decode(Parameters.self, forKey: key)
        func number(_ path: KeyPath<Parameters, Int?>, _ name: String) throws -> Int {
            guard let number = parameters[keyPath: path] else {
                throw DecodingError.dataCorruptedError(
                    forKey: key, in: container, debugDescription: "\(name) is missing")
            }
            return number
        }
        switch key {
        case .encode: self = .encode(try batch())
        case .process: self = .process(try batch())
        case .remove:
            self = .remove(
                sequence: try number(\.sequence, "sequence"), from: try number(\.from, "from"), to: parameters.to)
        case .keep: self = .keep(sequence: try number(\.sequence, "sequence"))
        case .copy:
            self = .copy(source: try number(\.source, "source"), destination: try number(\.destination, "destination"))
        case .shift:
            self = .shift(
                sequence: try number(\.sequence, "sequence"), from: try number(\.from, "from"),
                by: try number(\.by, "by"))
        case .save: self = .save(sequence: parameters.sequence)
        case .restore: self = .restore(sequence: parameters.sequence)
        case .clear: self = .clear
        }
    }
}
