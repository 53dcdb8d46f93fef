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

    public struct Options: Hashable, Sendable {
        /// Cells of the caches: tokens that all sequences together may hold.
        public var context: Int
        /// Sequences are numbered `0 ..< sequences`.
        public var sequences: Int
        /// Tokens that are computed together; longer batches are split.
        public var microBatch: Int
        public var cacheType: StateType
        /// What only some engines let a script choose.
        public var settings = Settings()
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
    /// Takes the positions `from ..< to` out of a sequence, or of all; `to` nil: to its end.
    case remove(sequence: Int?, from: Int, to: Int?)
    /// Removes every other sequence.
    case keep(sequence: Int)
    /// Makes `destination` a copy of the positions `from ..< to` of `source`; `to` nil: to its end.
    case copy(source: Int, destination: Int, from: Int = 0, to: Int? = nil)
    /// Moves the positions `from ..< to`; `to` nil: to the end.
    case shift(sequence: Int, from: Int, to: Int? = nil, by: Int)
    /// Divides the positions `from ..< to`, rounded down; `to` nil: to the end. Several tokens have one position then.
    case divide(sequence: Int, from: Int, to: Int? = nil, by: Int)
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

// MARK: As JSON: settings beside the other options, those that are plain left out

extension Script.Options: Codable {
    private enum Key: String, CodingKey, CaseIterable {
        case context, sequences, microBatch, cacheType, rounding, decisions
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        self.init(
            context: try container.decode(Int.self, forKey: .context),
            sequences: try container.decode(Int.self, forKey: .sequences),
            microBatch: try container.decode(Int.self, forKey: .microBatch),
            cacheType: try container.decode(StateType.self, forKey: .cacheType),
            rounding: try container.decodeIfPresent(Rounding.self, forKey: .rounding))
        decisions = try container.decodeIfPresent([[Int]].self, forKey: .decisions)
        let others = try decoder.container(keyedBy: TextKey.self)
        for key in others.allKeys where Key(stringValue: key.stringValue) == nil {
            guard let setting = Setting(rawValue: key.stringValue) else {
                throw DecodingError.dataCorruptedError(
                    forKey: key, in: others, debugDescription: "is no option; there are "
                        + (Key.allCases.map(\.rawValue) + Setting.allCases.map(\.rawValue)).joined(separator: ", "))
            }
            let value = try others.decode(Setting.Value.self, forKey: key)
            guard setting.isLegal(value) else {
                throw DecodingError.dataCorruptedError(
                    forKey: key, in: others, debugDescription: "must be \(setting.legalValues)")
            }
            settings[setting] = value
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(context, forKey: .context)
        try container.encode(sequences, forKey: .sequences)
        try container.encode(microBatch, forKey: .microBatch)
        try container.encode(cacheType, forKey: .cacheType)
        try container.encodeIfPresent(rounding, forKey: .rounding)
        try container.encodeIfPresent(decisions, forKey: .decisions)
        var others = encoder.container(keyedBy: TextKey.self)
        for (setting, value) in settings.all {
            try others.encode(value, forKey: TextKey(setting.rawValue))
        }
    }
}

// MARK: As JSON: one key that names the step, and its parameters

extension Step: Codable {
    enum Key: String, CodingKey, CaseIterable {
        case encode, process, remove, keep, copy, shift, divide, save, restore, clear
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
        case .copy(let source, let destination, let from, let to):
            (.copy, nil, Parameters(from: from == 0 ? nil : from, to: to, source: source, destination: destination))
        case .shift(let sequence, let from, let to, let by):
            (.shift, nil, Parameters(sequence: sequence, from: from, to: to, by: by))
        case .divide(let sequence, let from, let to, let by):
            (.divide, nil, Parameters(sequence: sequence, from: from, to: to, by: by))
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
        let key = try container.onlyKey(of: "a step")
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
            self = .remove(sequence: parameters.sequence, from: try number(\.from, "from"), to: parameters.to)
        case .keep: self = .keep(sequence: try number(\.sequence, "sequence"))
        case .copy:
            self = .copy(
                source: try number(\.source, "source"), destination: try number(\.destination, "destination"),
                from: parameters.from ?? 0, to: parameters.to)
        case .shift:
            self = .shift(
                sequence: try number(\.sequence, "sequence"), from: try number(\.from, "from"), to: parameters.to,
                by: try number(\.by, "by"))
        case .divide:
            self = .divide(
                sequence: try number(\.sequence, "sequence"), from: try number(\.from, "from"), to: parameters.to,
                by: try number(\.by, "by"))
        case .save: self = .save(sequence: parameters.sequence)
        case .restore: self = .restore(sequence: parameters.sequence)
        case .clear: self = .clear
        }
    }
}
