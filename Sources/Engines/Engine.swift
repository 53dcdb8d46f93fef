import Architectures
import Devices
import GGUF
import Inference

/// What turns a model into sessions on devices: what is under test.
///
/// Conform an engine of your own to this protocol, and every check of `Fuzzing` runs against it. An engine and what it
/// makes are used from one thread at a time. What it throws is a failure of the case, so an engine that cannot do
/// something throws `Unsupported`, which is counted and listed instead.
public protocol Engine: AnyObject {
    /// As reports name it: `builtin`, `llama`.
    var name: String { get }
    /// Of the engine itself; empty where it has none of its own.
    var version: String { get }
    /// The devices that scripts may be placed on; at least one.
    var devices: [EngineDevice] { get }
    /// Why devices that might be expected are not there.
    var absences: [String] { get }
    /// Whether a `Refusal` always means that the model is invalid, since what the engine merely lacks is `Unsupported`:
    /// refusing a valid model is a failure then. An engine that cannot tell one from the other says false, and both are
    /// discarded.
    var refusesOnlyInvalid: Bool { get }
    /// What its sessions can be asked for.
    var traits: EngineTraits { get }

    /// Takes a model, in the way that costs the engine least.
    /// - Parameter source: metadata, and the tensors in the bytes of their types.
    /// - Throws: `Refusal` where the metadata or tensors make no model, naming the key or tensor.
    func load(_ source: any TensorSource) throws -> any EngineModel

    /// Takes a model as a program does that has it in memory: by another way than files take, where there is one.
    /// - Throws: as `load(_:)`.
    func load(inMemory source: any TensorSource) throws -> any EngineModel

    /// Takes a model from a GGUF file.
    /// - Throws: as `load(_:)`.
    func load(file path: String) throws -> any EngineModel

    /// Takes a model from a GGUF file as a program does that has its bytes in memory, whatever they are.
    /// - Throws: as `load(_:)`.
    func load(fileInMemory path: String) throws -> any EngineModel

    /// Does something while the engine may take no more memory than this, in bytes, beyond what it has: where it does, it
    /// ends by `EngineDeath`. An engine in the caller's own process cannot be held to it.
    func limitingMemory<Result>(to growth: Int, _ body: () throws -> Result) rethrows -> Result

    /// Reads the tokenizer of a GGUF file and not its tensors, and uses it: some text becomes tokens, and every token
    /// text. What that gives is not looked at. Only engines whose traits have `readsVocabularies` are asked.
    /// - Throws: as `load(_:)`.
    func readVocabulary(file path: String) throws

    /// The tokens of texts by the tokenizer of a GGUF file, whose tensors are not read. Only engines whose traits have
    /// `tokenizes` are asked.
    /// - Returns: for each text, the ids of its tokens; nil where the tokenizer has none for it.
    /// - Throws: as `load(_:)`.
    func tokenize(_ inputs: [TokenizerInput], file path: String) throws -> [[Int]?]
}

extension Engine {
    public var version: String { "" }
    public var absences: [String] { [] }
    public var refusesOnlyInvalid: Bool { true }
    public var traits: EngineTraits { EngineTraits() }
    public func load(inMemory source: any TensorSource) throws -> any EngineModel { try load(source) }
    public func load(fileInMemory path: String) throws -> any EngineModel {
        try load(inMemory: Refusal.wrapping { try FileSource(path: path) })
    }
    public func limitingMemory<Result>(to growth: Int, _ body: () throws -> Result) rethrows -> Result { try body() }
    public func readVocabulary(file path: String) throws { throw Unsupported("vocabularies by themselves") }
    public func tokenize(_ inputs: [TokenizerInput], file path: String) throws -> [[Int]?] {
        throw Unsupported("tokenizers")
    }
}

/// What an engine's sessions can be asked for beyond what any session can: cases are drawn within it.
public struct EngineTraits: Hashable, Sendable, Codable {
    public var cacheTypes: [StateType]
    /// What scripts may choose; the rest is as it is by itself.
    public var settings: Set<Setting>
    /// How several devices may share a model.
    public var splits: [Placement.Split]
    /// Whether a token's position may be further than the next of its sequence.
    public var admitsGaps: Bool
    /// Contexts are whole multiples of this.
    public var contextUnit: Int
    /// Whether it refuses sizes beyond those of any model, rather than to take the memory that they ask for.
    public var boundsSizes: Bool
    /// Whether tokens may be given as embeddings. Absent: they may not.
    public var takesEmbeddings: Bool?
    /// Whether tokens that have a state beside them may be given as what another model made of them
    /// (`Drafting.states`). Absent: they may not.
    public var fusesFeatures: Bool?
    /// What its models can be adapted by (`EngineModel.adapt(by:)`) in cases that are drawn for it. Absent: nothing.
    public var adapters: [Adapter.Kind]?
    /// Whether it gives losses and gradients (`EngineModel.differentiate`). Absent: it does not.
    public var differentiates: Bool?
    /// Whether it has optimisers of its own (`EngineModel.train`). Absent: it does not.
    public var trains: Bool?
    /// Whether it reads the tokenizer of a file by itself (`Engine.readVocabulary(file:)`). Absent: it does not.
    public var readsVocabularies: Bool?
    /// Whether it makes tokens of texts (`Engine.tokenize(_:file:)`). Absent: it does not.
    public var tokenizes: Bool?
    /// Which models it can be asked for; nil: whatever an architecture allows.
    public var models: ModelDomain?

    public init(
        cacheTypes: [StateType] = [.full, .half], settings: Set<Setting> = [], splits: [Placement.Split] = [.layers],
        admitsGaps: Bool = true, contextUnit: Int = 1, boundsSizes: Bool = true,
        takesEmbeddings: Bool? = nil, fusesFeatures: Bool? = nil, adapters: [Adapter.Kind]? = nil,
        differentiates: Bool? = nil, trains: Bool? = nil, readsVocabularies: Bool? = nil, tokenizes: Bool? = nil,
        models: ModelDomain? = nil
    ) {
        self.cacheTypes = cacheTypes
        self.settings = settings
        self.splits = splits
        self.admitsGaps = admitsGaps
        self.contextUnit = contextUnit
        self.boundsSizes = boundsSizes
        self.takesEmbeddings = takesEmbeddings
        self.fusesFeatures = fusesFeatures
        self.adapters = adapters
        self.differentiates = differentiates
        self.trains = trains
        self.readsVocabularies = readsVocabularies
        self.tokenizes = tokenizes
        self.models = models
    }

    /// Whether a model's tokens may be given as embeddings, if the model takes them.
    public func takesEmbeddings(of traits: Traits) -> Bool {
        (traits.drafting == .states ? fusesFeatures : takesEmbeddings) == true
    }

    /// What engines that are tested together can all be asked for. What only some choose, the others leave alone.
    public func common(with other: EngineTraits) -> EngineTraits {
        EngineTraits(
            cacheTypes: cacheTypes.filter(other.cacheTypes.contains),
            settings: settings.union(other.settings),
            splits: splits.filter(other.splits.contains), admitsGaps: admitsGaps && other.admitsGaps,
            contextUnit: max(contextUnit, other.contextUnit), boundsSizes: boundsSizes && other.boundsSizes,
            takesEmbeddings: takesEmbeddings == true && other.takesEmbeddings == true,
            fusesFeatures: fusesFeatures == true && other.fusesFeatures == true,
            adapters: Adapter.Kind.allCases.filter(((adapters ?? []) + (other.adapters ?? [])).contains),
            differentiates: differentiates == true && other.differentiates == true,
            trains: trains == true && other.trains == true,
            readsVocabularies: readsVocabularies == true && other.readsVocabularies == true,
            tokenizes: tokenizes == true && other.tokenizes == true,
            models: models.map { other.models?.common(with: $0) ?? $0 } ?? other.models)
    }
}

/// A model that an engine has taken.
public protocol EngineModel: AnyObject {
    /// Opens a session, takes it through the script's steps, and closes it. The model stays as it was.
    ///
    /// A step that fails ends the script; it is part of the transcript.
    /// - Parameters:
    ///   - script: the steps, and the session that they are of.
    ///   - willBegin: told the number of each step before it begins.
    /// - Throws: `Unsupported`, or `EngineDeath` where the engine did not survive.
    func run(_ script: Script, willBegin: (Int) -> Void) throws -> Transcript

    /// The same, but the transcript has no results: they are handed over and not kept, so that those of many tokens
    /// need not be in memory.
    /// - Parameters:
    ///   - script: the steps, and the session that they are of.
    ///   - willBegin: told the number of each step before it begins.
    ///   - didGive: told the number of a step and what it gave, where an engine can soon, and perhaps in several
    ///     pieces: some of the rows, or some columns of them. Each row begins with its first column and goes on without
    ///     a gap; those that begin later have greater keys.
    func run(_ script: Script, willBegin: (Int) -> Void, didGive: (Int, StepResult) -> Void) throws -> Transcript

    /// Takes adapters from GGUF files: scripts that run from now on are of the model with these, and no others. The
    /// files stay as they are while the model is used.
    /// - Throws: `Refusal` where a file is no adapter of the model, naming the key or tensor; the model is then as it
    ///   was before it was adapted at all.
    func adapt(by adapters: [AdapterFile]) throws

    /// The loss of the one batch that a script processes, after what it encodes, and its gradient: a result of one row
    /// for the loss, and then one for each tensor of the model, in their order, which has no row where the loss does
    /// not depend on it. The loss is that of `Session.loss(of:encoding:)`, and weights are differentiated as they are
    /// decoded.
    /// - Throws: as `run`.
    func differentiate(_ script: Script) throws -> Transcript

    /// Trains a copy of the model on the one batch that a script processes, which is of one sequence and fills the
    /// context; all of its outputs are wanted. The loss is that of `Session.loss(of:encoding:)`.
    /// - Parameters:
    ///   - script: of that batch and of nothing else.
    ///   - training: by how many steps of which optimiser.
    ///   - path: of a file that is there, whose contents the trained model replaces.
    /// - Throws: as `run`.
    func train(_ script: Script, _ training: Training, to path: String) throws -> Trained

    /// Writes the model as a GGUF file.
    /// - Parameter path: of a file that is there, whose contents it replaces.
    func save(to path: String) throws
}

extension EngineModel {
    public func adapt(by adapters: [AdapterFile]) throws {
        if !adapters.isEmpty { throw Unsupported("adapters") }
    }

    public func differentiate(_ script: Script) throws -> Transcript { throw Unsupported("gradients") }

    public func train(_ script: Script, _ training: Training, to path: String) throws -> Trained {
        throw Unsupported("training")
    }

    public func run(_ script: Script) throws -> Transcript { try run(script) { _ in } }

    public func run(
        _ script: Script, willBegin: (Int) -> Void, didGive: (Int, StepResult) -> Void
    ) throws -> Transcript {
        var transcript = try run(script, willBegin: willBegin)
        for (step, result) in transcript.results.enumerated() { didGive(step, result) }
        transcript.results = []
        return transcript
    }
}

/// What an engine says of a model that it has trained.
public struct Trained: Hashable, Sendable {
    /// Before each step.
    public var losses: [Double]
    /// The tensors that it leaves as they are by design: of types that it does not train, or of roles.
    public var untrained: [String]

    public init(losses: [Double], untrained: [String] = []) {
        self.losses = losses
        self.untrained = untrained
    }
}

/// A device of an engine.
public struct EngineDevice: Hashable, Sendable, Codable {
    /// Those of another engine than the builtin one carry its name: `llama:CPU`.
    public var name: String
    /// What it is, in a few words.
    public var summary: String
    /// How it says that it computes; more is asked (`Probe`).
    public var precision: Precision
    /// Whether which ops it computes in one depends on the tensors that a model has, as those of a model in memory may
    /// be others than its file's: the two give the same logits then, but not the same bits. Absent: it does not.
    public var fusesByTensors: Bool?
    /// Whether it is a GPU or the like, which all processes that use it share: more of them may get less done. Absent:
    /// it is not.
    public var isAccelerator: Bool?

    public init(
        name: String, summary: String, precision: Precision, fusesByTensors: Bool? = nil, isAccelerator: Bool? = nil
    ) {
        self.name = name
        self.summary = summary
        self.precision = precision
        self.fusesByTensors = fusesByTensors
        self.isAccelerator = isAccelerator
    }
}

/// A model that an engine does not take, and why: a key or a tensor, and what is wrong with it.
public struct Refusal: Error, Hashable, Sendable, CustomStringConvertible {
    public var reason: String
    public init(_ reason: String) { self.reason = reason }
    public var description: String { reason }
}

/// What an engine cannot do by design. It is no failure: the case is discarded, and counted under this reason.
public struct Unsupported: Error, Hashable, Sendable, CustomStringConvertible {
    public var reason: String
    public init(_ reason: String) { self.reason = reason }
    public var description: String { reason }
}

/// How an engine ended in the middle of its work.
public struct EngineDeath: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Cause: Hashable, Sendable {
        /// Number and name: `11`, `SIGSEGV`.
        case signal(Int32, String)
        case exit(Int32)
        /// It gave no answer within this time.
        case hang(Duration)
        /// Its resident memory passed this limit, in bytes.
        case memory(Int)
        /// What it wrote is not the protocol.
        case protocolViolation(String)
        /// This program ended it (`EngineStop`).
        case stopped
    }
    public var cause: Cause
    /// The last thing it said that looks like an assertion, or else its last line; empty if it said nothing.
    public var lastWords: String
    /// The step that had begun; nil while it made the session or took the model.
    public var step: Int?
    /// The functions that it was in, innermost first, 16 at most: its own, without those of runtimes, by name, or by
    /// their library where that does not name them. Empty where it could not say.
    public var frames: [String]

    public init(_ cause: Cause, lastWords: String = "", step: Int? = nil, frames: [String] = []) {
        self.cause = cause
        self.lastWords = lastWords
        self.step = step
        self.frames = frames
    }

    /// Whether a line looks like an assertion or an exception.
    static func isAssertion(_ line: String) -> Bool {
        // `file.cpp:123: what is wrong`, as most of them are, or in words.
        line.contains(#/\.(c|cc|cpp|h|hpp|cu|m|swift):[0-9]+: /#)
            || ["Assertion", "terminate called", "what():"].contains { line.contains($0) }
            || SanitizerReport.kind(of: line) != nil
    }

    /// The assertion that it died of, without the place, which differs from build to build; nil if it named none.
    public var assertion: String? {
        guard Self.isAssertion(lastWords) else { return nil }
        if let kind = SanitizerReport.kind(of: lastWords) { return kind }
        let text = lastWords.split(separator: "/").last.map(String.init) ?? lastWords
        return text.replacing(#/:[0-9]+: /#, with: ": ")
    }

    public var description: String {
        let what = switch cause {
        case .signal(_, let name): "ended by \(name)"
        case .exit(let status): "exited with status \(status)"
        case .hang(let limit): "gave no answer within \(limit)"
        case .memory(let limit): "grew past \(limit >> 20) MiB"
        case .protocolViolation(let reason): "broke the worker protocol: \(reason)"
        case .stopped: "was stopped"
        }
        return what + (lastWords.isEmpty ? "" : ": \(lastWords)")
    }
}
