import Engines
import Fuzzing
import Inference

/// What the time of a case goes to.
enum CaseStage: Hashable, CustomStringConvertible {
    case draw, weights, load, reference, noiseFloor, checks
    case device(String)

    var description: String {
        switch self {
        case .draw: "draw"
        case .weights: "weights"
        case .load: "load"
        case .reference: "reference"
        case .noiseFloor: "noise floor"
        case .checks: "checks"
        case .device(let name): name
        }
    }
}

/// How long each stage took, of all cases together.
final class StageTimes {
    private var times: [CaseStage: Duration] = [:]

    subscript(_ stage: CaseStage) -> Duration { times[stage, default: .zero] }
    var sum: Duration { times.values.reduce(.zero, +) }

    /// Adds what `body` takes, less what is measured inside it.
    func measure<Result>(_ stage: CaseStage, _ body: () throws -> Result) rethrows -> Result {
        let (start, before) = (ContinuousClock.now, sum)
        defer { times[stage, default: .zero] += ContinuousClock.now - start - (sum - before) }
        return try body()
    }
}

/// Judges cases, and takes the time of their stages.
struct CaseBench {
    let engines: EngineSet
    let times: StageTimes
    private let judge: Judge

    init(_ engines: EngineSet) {
        let times = StageTimes()
        let timed = engines.engines.map { TimedEngine($0, times) }
        let own = engines.engines.firstIndex { $0 === engines.oracle }
        self.engines = EngineSet(oracle: own.map { timed[$0] } ?? TimedEngine(engines.oracle, times), engines: timed)
        self.times = times
        judge = Judge(self.engines, provesFailures: false)
    }

    /// A case that is there already.
    func measure(_ subject: Case, _ checks: [Check]) -> [Verdict] {
        times.measure(.checks) { judge.judge(subject, checks) }
    }

    /// - Throws: what drawing throws.
    func measure(_ index: UInt64, of plan: FuzzPlan) throws {
        let subject = try times.measure(.draw) { try plan.draw(index).case }
        _ = times.measure(.checks) { judge.judge(subject) }
    }
}

/// An engine, and how long what it is asked for takes.
private final class TimedEngine: Engine {
    private let engine: any Engine
    private let times: StageTimes

    init(_ engine: any Engine, _ times: StageTimes) {
        self.engine = engine
        self.times = times
    }

    var name: String { engine.name }
    var devices: [EngineDevice] { engine.devices }
    var version: String { engine.version }
    var absences: [String] { engine.absences }
    var refusesOnlyInvalid: Bool { engine.refusesOnlyInvalid }
    var traits: EngineTraits { engine.traits }

    func load(_ source: any TensorSource) throws -> any EngineModel { try load(source) { try engine.load(source) } }

    func load(inMemory source: any TensorSource) throws -> any EngineModel {
        try load(source) { try engine.load(inMemory: source) }
    }

    private func load(
        _ source: any TensorSource, _ body: () throws -> any EngineModel
    ) throws -> any EngineModel {
        // They are drawn when they are first asked for, which may be in the middle of a script.
        try times.measure(.weights) { for tensor in source.tensors { _ = try source.data(of: tensor) } }
        return try times.measure(.load) { TimedModel(try body(), times) }
    }

    func load(file path: String) throws -> any EngineModel {
        try times.measure(.load) { TimedModel(try engine.load(file: path), times) }
    }
}

private final class TimedModel: EngineModel {
    private let model: any EngineModel
    private let times: StageTimes

    init(_ model: any EngineModel, _ times: StageTimes) {
        self.model = model
        self.times = times
    }

    func run(_ script: Script, willBegin: (Int) -> Void) throws -> Transcript {
        let device = script.placement.defaultDevice
        let stage: CaseStage = script.options.rounding != nil
            ? .noiseFloor : device == EngineSet.reference ? .reference : .device(device)
        return try times.measure(stage) { try model.run(script, willBegin: willBegin) }
    }

    func save(to path: String) throws { try times.measure(.load) { try model.save(to: path) } }
}
