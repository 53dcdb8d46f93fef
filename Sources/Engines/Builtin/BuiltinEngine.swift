import Architectures
import Devices
import Faults
import Foundation
import GGUF
import Inference
import ModelGraph
import Tokenizers

/// The engine of this project, in the process of the caller.
public final class BuiltinEngine: Engine {
    public let name = "builtin"
    public let traits = EngineTraits(
        settings: [.damagedStates], takesEmbeddings: true, fusesFeatures: true, differentiates: true,
        tokenizes: true)
    public let devices: [EngineDevice]
    private let deviceSet: DeviceSet

    /// - Parameters:
    ///   - devices: `reference` among them if results are to be compared with it.
    ///   - imitated: how `cpu` computes instead; what it says of itself stays.
    ///   - fault: put into `cpu`.
    public init(_ devices: DeviceSet = .all(), imitating imitated: Precision? = nil, fault: Fault? = nil) {
        var devices = devices
        if let imitated {
            devices.devices = devices.devices.map { $0.name == "cpu" ? ImitatingDevice($0, as: imitated) : $0 }
        }
        if let fault { devices.devices = devices.devices.map { $0.name == "cpu" ? FaultyDevice($0, fault) : $0 } }
        deviceSet = devices
        self.devices = devices.devices.map { device in
            EngineDevice(
                name: device.name, summary: device.summary, precision: device.precision,
                isAccelerator: device.isAccelerator ? true : nil)
        }
    }

    public var absences: [String] { deviceSet.absences }

    public func load(_ source: any TensorSource) throws -> any EngineModel {
        try BuiltinModel(Refusal.wrapping { try Model(source) }, deviceSet)
    }

    public func load(inMemory source: any TensorSource) throws -> any EngineModel {
        try load(
            Refusal.wrapping {
                if let source = source as? MemorySource { return source }
                // It asks for the tensors of the model when they are needed, and not for what else there is.
                _ = try Model(source)
                return try MemorySource(source)
            })
    }

    public func load(file path: String) throws -> any EngineModel {
        try BuiltinModel(Refusal.wrapping { try Model(FileSource(path: path)) }, deviceSet)
    }

    /// What is no UTF-8 is no text, and has no tokens.
    public func tokenize(_ inputs: [TokenizerInput], file path: String) throws -> [[Int]?] {
        let tokenizer = try Refusal.wrapping { try Tokenizer(GGUFFile(path: path).metadata) }
        return try inputs.map { input in
            guard let text = String(validating: input.bytes, as: UTF8.self) else { return nil }
            do {
                return try tokenizer.encode(text, addSpecial: input.addSpecial, parseSpecial: input.parseSpecial)
            } catch is TokenizerError {
                return nil
            }
        }
    }

    /// A session on this engine's devices, for what no script asks for.
    /// - Throws: as `Session`.
    public func open(_ model: Model, placement: Placement, options: SessionOptions) throws -> Session {
        try Session(model, placement: placement, devices: deviceSet, options: options)
    }
}

extension Refusal {
    /// What taking a model throws is a refusal.
    static func wrapping<Result>(_ body: () throws -> Result) throws -> Result {
        do { return try body() } catch { throw Refusal("\(error)") }
    }
}

private final class BuiltinModel: EngineModel {
    private var model: Model
    private let set: DeviceSet
    private var weights: LoadedWeights
    /// The reference's session, if it did not fail: the samples of a noise floor play one script again and again, with
    /// other rounding, and its graphs are planned.
    private var kept: OpenSession?

    init(_ model: Model, _ set: DeviceSet) {
        self.model = model
        self.set = set
        weights = LoadedWeights(model)
    }

    func run(_ script: Script, willBegin: (Int) -> Void) throws -> Transcript {
        try run(script) { open in try script.play(willBegin: willBegin, on: open) }
    }

    func run(_ script: Script, willBegin: (Int) -> Void, didGive: (Int, StepResult) -> Void) throws -> Transcript {
        try run(script) { open in try script.play(willBegin: willBegin, didGive: didGive, on: open) }
    }

    func differentiate(_ script: Script) throws -> Transcript {
        guard let (source, batch) = script.onlyBatch else { throw Unsupported("gradients of other than one batch") }
        return try run(script) { open in
            var transcript = Transcript()
            do {
                guard let session = try open() as? BuiltinSession else { return transcript }
                transcript.results = try session.gradient(of: batch, encoding: source, model.weights)
                transcript.fallbacks = session.fallbacks
            } catch let error as Unsupported {
                throw error
            } catch {
                transcript.failure = .init(step: script.steps.count - 1, reason: "\(error)")
            }
            return transcript
        }
    }

    private func run(
        _ script: Script, _ play: (() throws -> any ScriptSession) throws -> Transcript
    ) throws -> Transcript {
        let isReference = script.placement.namedDevices.allSatisfy { $0 == ReferenceDevice.name }
        for type in [script.options.cacheType, script.options.valueCacheType] where !isReference && !type.isNative {
            throw Unsupported("the cache type \(type.rawValue)")
        }
        if let split = script.placement.split, split != .layers { throw Unsupported("a split by \(split.rawValue)") }
        var opened: OpenSession?
        func open() throws -> any ScriptSession {
            let again = try isReference ? kept?.restarted(for: script) : nil
            let session = try again ?? OpenSession(script, model, set, weights)
            opened = session
            return BuiltinSession(session.session)
        }
        // The reference says what is right, and is not tested.
        var transcript = try play { try isReference ? open() : SessionAmongOthers.open(script, by: open) }
        transcript.decisions = opened?.decisions.decisions ?? []
        kept = isReference && transcript.failure == nil ? opened : nil
        return transcript
    }

    func adapt(by adapters: [AdapterFile]) throws {
        kept = nil
        model = try model.adapted(by: [])
        weights = LoadedWeights(model)
        if adapters.isEmpty { return }
        model = try Refusal.wrapping { try model.adapted(by: adapters.map { try AppliedAdapter($0) }) }
        weights = LoadedWeights(model)
    }

    func save(to path: String) throws { try Data(model.savedBytes()).write(to: URL(fileURLWithPath: path)) }
}

/// A session, and the reference among its devices.
private struct OpenSession {
    private let placement: Placement
    private let options: Script.Options
    private let reference: ReferenceDevice
    let decisions: DecisionLog
    let session: Session

    init(_ script: Script, _ model: Model, _ set: DeviceSet, _ weights: LoadedWeights) throws {
        placement = script.placement
        options = script.options
        decisions = DecisionLog(prescribed: script.options.decisions ?? [])
        let reference = ReferenceDevice(rounding: script.options.rounding, decisions: decisions)
        self.reference = reference
        var devices = set
        devices.devices = set.devices.map { $0 is ReferenceDevice ? reference : $0 }
        session = try Session(
            model, placement: placement, devices: devices,
            options: SessionOptions(
                context: options.context, sequences: options.sequences, microBatch: options.microBatch,
                cacheType: options.cacheType, valueCacheType: options.valueCacheType),
            weights: weights)
    }

    /// As it would be if it were opened for a script now; nil where that asks for another one.
    func restarted(for script: Script) throws -> OpenSession? {
        var asked = script.options
        asked.rounding = options.rounding
        asked.decisions = options.decisions
        guard script.placement == placement, asked == options else { return nil }
        reference.restart(rounding: script.options.rounding, prescribed: script.options.decisions ?? [])
        try session.restart()
        return self
    }
}

private final class BuiltinSession: ScriptSession {
    private let session: Session

    init(_ session: Session) { self.session = session }

    func encode(_ batch: Batch) throws -> StepResult { StepResult(try session.encode(batch)) }
    func process(_ batch: Batch) throws -> StepResult { StepResult(try session.process(batch)) }
    /// A row at a time, since they are wider here than the device made them.
    func process(_ batch: Batch, take: (StepResult) -> Void) throws {
        try session.process(batch) { output in
            guard let all = output.logits ?? output.embeddings else { return }
            for (index, key) in all.keys.enumerated() {
                let row = Rows(
                    keys: [key], width: all.width, elements: all.row(at: index), firstColumn: all.firstColumn,
                    wholeWidth: all.wholeWidth)
                take(output.logits == nil ? StepResult(embeddings: row) : StepResult(logits: row))
            }
        }
    }
    func remove(_ sequence: Int?, _ positions: Range<Int>) throws -> Bool {
        if let sequence { return try session.remove(sequence, positions) }
        return try session.removeOfAll(positions)
    }
    func keep(_ sequence: Int) throws { try session.keep(sequence) }
    func copy(_ source: Int, to destination: Int, _ positions: Range<Int>) throws -> Bool {
        guard session.canCopy(source, positions), source != destination else { return source == destination }
        try session.remove(destination)
        return try session.copy(source, to: destination, positions)
    }
    func shift(_ sequence: Int, _ positions: Range<Int>, by delta: Int) throws {
        try session.shift(sequence, positions, by: delta)
    }
    func divide(_ sequence: Int, _ positions: Range<Int>, by divisor: Int) throws {
        try session.divide(sequence, positions, by: divisor)
    }
    func save(_ sequence: Int?) throws -> [UInt8] {
        try sequence.map { try session.saveState(of: $0) } ?? session.saveState()
    }
    func restore(_ state: [UInt8], _ sequence: Int?) throws {
        if let sequence { try session.restoreState(state, of: sequence) } else { try session.restoreState(state) }
    }
    func clear() throws { try session.clear() }
    var fallbacks: [String] { session.fallbacks.map(\.description) }

    /// As `EngineModel.differentiate` has it.
    func gradient(of batch: Batch, encoding source: Batch?, _ weights: [Weight]) throws -> [StepResult] {
        let gradient = try session.gradient(of: batch, encoding: source)
        func result(_ elements: [Double]) -> StepResult {
            StepResult(logits: Rows(keys: [0], width: elements.count, elements: elements))
        }
        return [result([gradient.loss])] + weights.map { weight in
            gradient.weights[weight.name].map { result($0.doubles) } ?? StepResult()
        }
    }
}

extension StepResult {
    public init(_ output: Output) {
        self.init(logits: output.logits.map(Rows.init), embeddings: output.embeddings.map(Rows.init))
    }
}

extension Rows {
    fileprivate init(_ rows: Output.Rows) {
        self.init(keys: rows.keys, width: rows.width, elements: rows.elements.doubles)
    }
}
