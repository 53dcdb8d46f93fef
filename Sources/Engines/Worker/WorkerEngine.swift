import Foundation
import GGUF
import Inference

/// An engine in a worker process, which is started when it is first needed and again after each death.
public final class WorkerEngine: Engine {
    public let name: String
    public let version: String
    public let devices: [EngineDevice]
    public let absences: [String]
    public let refusesOnlyInvalid: Bool
    public let traits: EngineTraits
    private let command: WorkerCommand
    private var process: WorkerProcess?
    /// What takes its place, started beforehand once one has died: a driver of a GPU takes seconds to start.
    private var spare: WorkerProcess?
    /// What memory it may take beyond what it has; nil: as much as its limits say.
    private var growth: Int?
    /// The model that the worker has; whatever else was loaded is loaded again when it is used.
    fileprivate weak var loaded: WorkerModel?

    /// Starts a worker and asks what it is.
    /// - Throws: `EngineStartError` where that fails.
    public init(_ command: WorkerCommand) throws {
        self.command = command
        let process = try WorkerProcess(command)
        do {
            let description = try process.answer(Frame(.describe)).expectAnswer().description()
            name = description.engine
            version = description.version ?? ""
            devices = description.devices
            absences = description.absences ?? []
            // A worker that says nothing of it is not accused.
            refusesOnlyInvalid = description.refusesOnlyInvalid ?? false
            traits = description.traits ?? EngineTraits()
        } catch {
            process.stop(grace: .seconds(0))
            throw EngineStartError("\(command.executable): \(error)")
        }
        self.process = process
    }

    deinit {
        process?.stop()
        spare?.stop(grace: .seconds(0))
    }

    /// Lets go of a worker that has ended.
    private func replaceProcess() {
        process = spare
        spare = try? WorkerProcess(command)
    }

    public func load(_ source: any TensorSource) throws -> any EngineModel {
        let file = try TemporaryFile(bytes: source.bytesOfFile())
        return try model(LoadRequest(path: file.path), file)
    }

    public func load(inMemory source: any TensorSource) throws -> any EngineModel {
        let file = try TemporaryFile(bytes: source.bytesOfFile())
        return try model(LoadRequest(path: file.path, inMemory: true), file)
    }

    public func load(file path: String) throws -> any EngineModel { try model(LoadRequest(path: path)) }

    public func load(fileInMemory path: String) throws -> any EngineModel {
        try model(LoadRequest(path: path, inMemory: true))
    }

    public func limitingMemory<Result>(to growth: Int, _ body: () throws -> Result) rethrows -> Result {
        self.growth = growth
        defer { self.growth = nil }
        return try body()
    }

    public func readVocabulary(file path: String) throws {
        loaded = nil
        try answer(Frame(.readVocabulary, path)) { _ in }
    }

    public func tokenize(_ inputs: [TokenizerInput], file path: String) throws -> [[Int]?] {
        loaded = nil
        return try answer(Frame(.tokenize) { $0.write(path, inputs) }) { payload in
            let ids = try payload.read([[Int]?].self)
            guard ids.count == inputs.count else {
                throw payload.error("tokens of \(ids.count) texts, where there are \(inputs.count)")
            }
            return ids
        }
    }

    private func model(_ request: LoadRequest, _ file: TemporaryFile? = nil) throws -> any EngineModel {
        let model = WorkerModel(self, request, file)
        try model.load()
        return model
    }

    /// - Parameter result: reads the answer's payload.
    fileprivate func answer<Result>(
        _ request: Frame, _ result: (inout PayloadReader) throws -> Result
    ) throws -> Result {
        do {
            let process = try self.process ?? WorkerProcess(command)
            self.process = process
            return try process.answer(request, growth: growth).expectAnswer().read(result)
        } catch let error as EngineDeath {
            if process?.isAlive != true { replaceProcess() }
            loaded = nil
            throw error
        } catch let error as ProtocolError {
            process?.stop(grace: .seconds(0))
            replaceProcess()
            loaded = nil
            throw EngineDeath(.protocolViolation(error.description))
        }
    }
}

/// An engine's own error, in its words.
public struct EngineError: Error, Hashable, Sendable, CustomStringConvertible {
    public var description: String
    public init(_ description: String) { self.description = description }
}

private final class WorkerModel: EngineModel {
    private let engine: WorkerEngine
    private let request: LoadRequest
    /// Where the worker reads the model, while that is needed.
    private let file: TemporaryFile?
    private var adapters: [AdapterFile] = []

    init(_ engine: WorkerEngine, _ request: LoadRequest, _ file: TemporaryFile?) {
        self.engine = engine
        self.request = request
        self.file = file
    }

    func load() throws {
        engine.loaded = nil
        do {
            try engine.answer(Frame(.load, request)) { _ in }
        } catch let refusal as Refusal where file != nil {
            throw Refusal(withoutPath(refusal.reason))
        } catch let unsupported as Unsupported where file != nil {
            throw Unsupported(withoutPath(unsupported.reason))
        }
        engine.loaded = self
        if !adapters.isEmpty { try takeAdapters() }
    }

    func adapt(by adapters: [AdapterFile]) throws {
        self.adapters = []
        if engine.loaded !== self { try load() }
        self.adapters = adapters
        do {
            try takeAdapters()
        } catch {
            self.adapters = []
            throw error
        }
    }

    private func takeAdapters() throws {
        // Of what the engine does not know it need not be told.
        do {
            try engine.answer(Frame(.adapt, adapters)) { _ in }
        } catch let refusal as Refusal {
            throw Refusal(adapters.reduce(refusal.reason) { $0.replacing($1.path, with: "the adapter") })
        }
    }

    /// The path is of this run only, and says nothing.
    private func withoutPath(_ reason: String) -> String { reason.replacing(request.path, with: "the model") }

    func run(_ script: Script, willBegin: (Int) -> Void) throws -> Transcript {
        if engine.loaded !== self { try load() }
        return try engine.answer(Frame(.run, script)) { try Transcript(reading: &$0, steps: script.steps.count) }
    }

    func differentiate(_ script: Script) throws -> Transcript {
        if engine.loaded !== self { try load() }
        return try engine.answer(Frame(.differentiate, script)) {
            try Transcript(reading: &$0, steps: script.steps.count, isOfSteps: false)
        }
    }

    func train(_ script: Script, _ training: Training, to path: String) throws -> Trained {
        if engine.loaded !== self { try load() }
        let request = TrainingRequest(script: script, training: training, path: path)
        return try engine.answer(Frame(.train, request)) { payload in
            let trained = try payload.read(Trained.self)
            guard trained.losses.count == training.steps else {
                throw payload.error("\(trained.losses.count) losses of \(training.steps) steps")
            }
            return trained
        }
    }

    func save(to path: String) throws {
        if engine.loaded !== self { try load() }
        try engine.answer(Frame(.save, path)) { _ in }
    }
}
