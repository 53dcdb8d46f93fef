import Devices
import Inference

/// What a script may choose of how a model is loaded and how its session computes, where an engine lets it
/// (`EngineTraits.settings`). It changes nothing of what a model means.
///
/// A setting is declared once, below: its legal values, how often each is drawn, when it means something, and its words.
/// Generator, shrinker, coverage, corpus files and the worker protocol follow. In the order in which they are drawn: a
/// later one may depend on those before it.
public enum Setting: String, Hashable, Sendable, CaseIterable, Codable, CodingKeyRepresentable {
    // Of a model:
    /// Weights are laid out anew for the processor's instructions, where the engine has such layouts.
    case repackedWeights
    /// How a file comes into memory.
    case reading
    /// Whether the elements of tensors are looked at when they are loaded.
    case checksTensors
    /// Into how many files the model is split.
    case parts
    /// Which key has another value in the file, where the model's own overrides it.
    case overriddenKey
    // Of a session:
    /// What values are cached in, if not in what keys are.
    case valueCacheType
    /// Attention in one pass over the keys, without a matrix of all scores.
    case flashAttention
    /// One cache for all sequences, or a part of its own for each.
    case unifiedCache
    /// Caches of layers with a window have room for all positions, or for the window.
    case wholeWindowCaches
    /// Whether the caches of layers that are offloaded are on their devices too.
    case offloadsCaches
    /// Whether ops with weights that are in main memory may be computed by a device that is offloaded to.
    case offloadsOps
    /// The base and the scale of the rotation's frequencies are the session's, where the file has others.
    case givenRotation
    /// How embeddings become one is the session's to say, where the file says otherwise.
    case givenPooling
    /// Tokens that may be submitted at once, as a multiple of those that are.
    case batchRoom
    /// Threads that compute a single token.
    case threads
    /// Threads that compute several tokens, if not as many as compute one.
    case batchThreads
    /// How outputs are read.
    case outputAccess
    /// Whether another session of the model does the same before this one, or beside it.
    case otherSessions
    /// All of a state is restored into a session that was opened for it.
    case restoresAnew
    /// States that are cut short are refused before those that are whole are restored.
    case cutStates
    /// Which bytes are changed of a state that a session of its own is given before this one restores it whole.
    case damagedStates

    /// A value of a setting.
    public enum Value: Hashable, Sendable {
        case flag(Bool)
        case number(Int)
        case name(String)
    }

    /// All that there is to know of a setting.
    public struct Declaration: Sendable {
        /// What is drawn, and how often, the simplest first: what a script has that does not say it.
        public let values: [(value: Value, weight: Int)]
        /// Numbers that are legal, though they may not be drawn.
        public let numbers: ClosedRange<Int>?
        /// How much it says of what is wrong, where it matters to a failure: less is more.
        public let rank: Int
        /// Whether a session can have the value, its options and model being what they are.
        public let allows: @Sendable (Value, SessionTraits, Script.Options) -> Bool
        /// As a report says it; nil: it need not be said.
        public let words: @Sendable (Value, Script.Options) -> String?
        /// As coverage names it, if not by the words.
        let feature: String?
        /// Whether it can make a difference to a script.
        let concerns: @Sendable (Script) -> Bool

        fileprivate init(
            _ values: [(value: Value, weight: Int)], numbers: ClosedRange<Int>? = nil, rank: Int = 4,
            feature: String? = nil,
            allows: @escaping @Sendable (Value, SessionTraits, Script.Options) -> Bool = { _, _, _ in true },
            words: @escaping @Sendable (Value, Script.Options) -> String?,
            concerns: @escaping @Sendable (Script) -> Bool = { _ in true }
        ) {
            self.values = values
            self.numbers = numbers
            self.rank = rank
            self.allows = allows
            self.words = words
            self.feature = feature
            self.concerns = concerns
        }

        /// One that is said if it is not as it is by itself.
        fileprivate static func flag(
            _ plain: Bool, rarely weight: Int, _ words: String, rank: Int = 4,
            if applies: @escaping @Sendable (SessionTraits, Script.Options) -> Bool = { _, _ in true },
            concerns: @escaping @Sendable (Script) -> Bool = { _ in true }
        ) -> Self {
            Self([(.flag(plain), weight), (.flag(!plain), 1)], rank: rank) { value, traits, options in
                value == .flag(plain) || applies(traits, options)
            } words: { value, _ in
                value == .flag(plain) ? nil : words
            } concerns: {
                concerns($0)
            }
        }
    }
}

// MARK: The settings

extension Setting {
    public var declaration: Declaration { Self.declarations[self] ?? declared }

    private static let declarations = Dictionary(uniqueKeysWithValues: allCases.map { ($0, $0.declared) })

    private var declared: Declaration {
        switch self {
        case .repackedWeights: .flag(false, rarely: 3, "repacked weights", rank: 1)
        case .reading:
            Declaration([(.name("mapped"), 8), (.name("read"), 1), (.name("direct"), 1)]) { value, _ in
                value == .name("mapped") ? nil : "\(value) from the file"
            }
        case .checksTensors: .flag(false, rarely: 15, "tensors checked")
        case .parts:
            Declaration(
                [(.number(1), 40), (.number(2), 1), (.number(3), 1)], numbers: 1...99, feature: "split files"
            ) { value, _ in value == .number(1) ? nil : "\(value) files" }
        case .overriddenKey:
            Declaration(
                [(.number(0), 400)] + (1...20).map { (.number($0), 1) }, numbers: 0...1024, feature: "key overridden"
            ) { value, _ in value == .number(0) ? nil : "override of key \(value)" }
        case .valueCacheType:
            Declaration(
                [(.name("as keys"), 24)] + StateType.allCases.map { (.name($0.rawValue), $0.isNative ? 3 : 1) }, rank: 1
            ) { value, traits, options in
                guard let type = StateType(value) else { return value == .name("as keys") }
                return traits.hasValueCache && type != options.cacheType
                    && (type.blockSize == 1 || traits.hasBlockCache)
            } words: { value, _ in StateType(value).map { "cache of values \($0.rawValue)" } }
        case .flashAttention:
            Declaration([(.flag(false), 16), (.flag(true), 8), (.name("auto"), 1)], rank: 2) { value, _, options in
                // Values in blocks can be read by flash attention only.
                value == .flag(true) || (options.cacheType.isNative && options.valueCacheType.isNative)
            } words: { value, _ in
                value == .flag(false) ? nil : value == .flag(true) ? "flash attention" : "flash attention if possible"
            }
        case .unifiedCache:
            Declaration([(.flag(true), 1), (.flag(false), 1)]) { value, _, options in
                value == .flag(true) || options.sequences > 1
            } words: { value, options in
                options.sequences == 1 ? nil : value == .flag(true) ? "unified cache" : "cache a sequence"
            }
        case .wholeWindowCaches: .flag(false, rarely: 4, "whole caches of windows") { traits, _ in traits.hasWindows }
        case .offloadsCaches: .flag(true, rarely: 15, "caches in main memory") { traits, _ in traits.hasCache }
        case .offloadsOps: .flag(true, rarely: 15, "ops in main memory")
        case .givenRotation:
            // The bases of layers with a window follow from that of the file.
            .flag(false, rarely: 15, "rotation of the session") { traits, _ in !traits.hasWindows }
        case .givenPooling:
            .flag(false, rarely: 3, "pooling of the session") { traits, _ in
                [.mean, .cls, .last].contains(traits.traits.pooling)
            }
        case .batchRoom:
            Declaration([(.number(1), 20), (.number(2), 1), (.number(5), 1)], numbers: 1...64, feature: "room in batches") {
                value, _ in value == .number(1) ? nil : "room for \(value) times a batch"
            }
        case .threads:
            // A toy's ops take less time than waking a thread for them.
            Declaration(
                [(.number(1), 60), (.number(2), 2), (.number(3), 2), (.number(8), 1)], numbers: 1...1024,
                feature: "several threads"
            ) { value, _ in value == .number(1) ? nil : "\(value) threads" }
        case .batchThreads:
            Declaration(
                [(.number(0), 60), (.number(1), 1), (.number(2), 1), (.number(5), 1)], numbers: 0...1024,
                feature: "threads of batches"
            ) { value, _ in value == .number(0) ? nil : "\(value) threads a batch" }
        case .outputAccess:
            Declaration(
                [(.name("index"), 8)] + Script.OutputAccess.allCases.map { (.name($0.rawValue), 1) }
            ) { value, traits, _ in
                // What is pooled has an output for each sequence, and no other way to it.
                value == .name("index") || traits.traits.pooling == .none
            } words: { value, _ in Script.OutputAccess(value).map(\.words) }
        case .otherSessions:
            Declaration([(.name("none"), 30), (.name("before"), 1), (.name("beside"), 1)]) { value, _ in
                value == .name("none") ? nil : "another session \(value)"
            }
        case .restoresAnew:
            // What an encoder made of its text is none of the state.
            .flag(false, rarely: 2, "states into new sessions") { traits, _ in
                !traits.traits.hasEncoder
            } concerns: {
                $0.steps.contains(.restore(sequence: nil))
            }
        case .cutStates:
            .flag(false, rarely: 4, "states cut short first", concerns: \.restores)
        case .damagedStates:
            Declaration(
                [(.number(0), 200)] + (1...200).map { (.number($0), 1) }, numbers: 0...Int(Int32.max), rank: 1,
                feature: "states damaged"
            ) { value, _ in value == .number(0) ? nil : "states damaged at \(value)" } concerns: { $0.restores }
        }
    }

    /// What a script has that does not say it, and what engines have that do not choose it.
    public var plain: Value { declaration.values[0].value }

    /// Whether it says what numbers are kept in: errors are others then.
    public var isOfNumbers: Bool { self == .valueCacheType }

    /// Whether it says how a session is among others of its model (`SessionAmongOthers`), and nothing of the session.
    public var isOfOtherSessions: Bool { [.otherSessions, .restoresAnew, .cutStates, .damagedStates].contains(self) }

    /// Whether it says what is in the file of a model, or how many files there are, and what is given beside it.
    public var isOfLoading: Bool { [.parts, .overriddenKey, .givenRotation, .givenPooling].contains(self) }

    /// Whether it is drawn where an engine is given what is damaged, and nowhere else.
    public var isOfDamage: Bool { self == .damagedStates }

    /// Whether the value is one of the setting's.
    public func isLegal(_ value: Value) -> Bool {
        if case .number(let number) = value, let numbers = declaration.numbers { return numbers.contains(number) }
        return declaration.values.contains { $0.value == value }
    }

    /// As a person is told which values there are.
    public var legalValues: String {
        declaration.numbers.map { "\($0.lowerBound) to \($0.upperBound)" }
            ?? declaration.values.map(\.value.description).joined(separator: ", ")
    }

    /// What coverage calls the value that a script has; nil where it is nothing special, or makes no difference.
    public func feature(of script: Script) -> String? {
        guard declaration.concerns(script) else { return nil }
        return declaration.words(script.options.settings[self], script.options).map { declaration.feature ?? $0 }
    }
}

extension Script {
    /// Whether it goes back to a state.
    fileprivate var restores: Bool { steps.contains { if case .restore = $0 { true } else { false } } }

    /// Ways to read outputs beside that by the index of a token. An engine that keeps outputs in another order than the
    /// batch has them sorts them for each way by itself.
    public enum OutputAccess: String, Hashable, Sendable, CaseIterable {
        /// Each by its number, counted back from the last output.
        case fromEnd
        /// All as one array, whose rows are in the order of the batch.
        case array

        fileprivate init?(_ value: Setting.Value) { self.init(rawValue: value.description) }
        fileprivate var words: String { "outputs \(rawValue)" }
    }
}

extension StateType {
    fileprivate init?(_ value: Setting.Value) { self.init(rawValue: value.description) }
}

// MARK: Their values

/// The settings of a script that are not as they are by themselves.
public struct Settings: Hashable, Sendable {
    private var chosen: [Setting: Setting.Value] = [:]

    public init() {}

    public subscript(_ setting: Setting) -> Setting.Value {
        get { chosen[setting] ?? setting.plain }
        set { chosen[setting] = newValue == setting.plain ? nil : newValue }
    }

    /// In the order of `Setting`.
    public var all: [(setting: Setting, value: Setting.Value)] {
        Setting.allCases.compactMap { setting in chosen[setting].map { (setting, $0) } }
    }

    public var count: Int { chosen.count }
}

extension Setting.Value: CustomStringConvertible, Codable {
    public var description: String {
        switch self {
        case .flag(let flag): "\(flag)"
        case .number(let number): "\(number)"
        case .name(let name): name
        }
    }

    /// As `description` has it.
    public init(_ text: String) {
        self = Int(text).map(Self.number) ?? Bool(text).map(Self.flag) ?? .name(text)
    }

    public var flag: Bool { self == .flag(true) }
    public var number: Int { if case .number(let number) = self { number } else { 0 } }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let flag = try? container.decode(Bool.self) {
            self = .flag(flag)
        } else if let number = try? container.decode(Int.self) {
            self = .number(number)
        } else {
            self = .name(try container.decode(String.self))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .flag(let flag): try container.encode(flag)
        case .number(let number): try container.encode(number)
        case .name(let name): try container.encode(name)
        }
    }
}

extension Script.Options {
    /// Values are cached in this.
    public var valueCacheType: StateType { StateType(settings[.valueCacheType]) ?? cacheType }
    /// nil: as the engine chooses.
    public var usesFlashAttention: Bool? {
        if case .flag(let flag) = settings[.flashAttention] { flag } else { nil }
    }
    /// nil: by the index of a token.
    public var outputAccess: Script.OutputAccess? { Script.OutputAccess(settings[.outputAccess]) }
}
