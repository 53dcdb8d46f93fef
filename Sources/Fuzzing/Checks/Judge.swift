import Architectures
import Devices
import Engines
import Foundation
import GGUF
import Inference

/// Runs cases on engines, and says whether their properties hold.
public final class Judge {
    private let engines: EngineSet

    public init(_ engines: EngineSet) { self.engines = engines }

    /// A verdict for each device of the case, in its order.
    public func judge(_ subject: Case) -> [Verdict] {
        let loaded = LoadedCase(subject)
        let reference = Reference(loaded, engines.oracle)
        return subject.devices.map { device in
            var trial = Trial(loaded, device, reference)
            do {
                guard let engine = engines.engine(of: device) else {
                    return Verdict(device: device, outcome: .discarded("there is no device \(device)"))
                }
                trial.precision = engine.devices.first { $0.name == device }?.precision ?? trial.precision
                trial.refusesOnlyInvalid = engine.refusesOnlyInvalid
                try trial.run(on: engine)
                return Verdict(device: device, outcome: .passed, worst: trial.worst, fallbacks: trial.fallbacks)
            } catch let discard as Discard {
                return Verdict(device: device, outcome: .discarded(discard.reason), fallbacks: trial.fallbacks)
            } catch let unsupported as Unsupported {
                return Verdict(device: device, outcome: .discarded("unsupported: \(unsupported.reason)"))
            } catch let wrong as Wrong {
                let signature = Signature(
                    check: subject.check, device: device, architecture: subject.architecture, stage: wrong.stage,
                    kind: wrong.kind)
                return Verdict(
                    device: device, outcome: .failed(Failure(signature: signature, seen: wrong.seen)), worst: trial.worst,
                    fallbacks: trial.fallbacks)
            } catch {
                let signature = Signature(
                    check: subject.check, device: device, architecture: subject.architecture, stage: trial.stage,
                    kind: "error")
                return Verdict(device: device, outcome: .failed(Failure(signature: signature, seen: "\(error)")))
            }
        }
    }
}

/// The engines that devices belong to, and the one that is believed.
public final class EngineSet {
    /// Holds the reference device.
    public let oracle: any Engine
    public let engines: [any Engine]

    public init(oracle: any Engine, engines: [any Engine]) {
        self.oracle = oracle
        self.engines = engines
    }

    /// One engine whose own `reference` is believed.
    public convenience init(_ engine: any Engine) { self.init(oracle: engine, engines: [engine]) }

    public func engine(of device: String) -> (any Engine)? {
        engines.first { $0.devices.contains { $0.name == device } }
    }

    /// The devices that can be put under test: all but the reference.
    public var devices: [EngineDevice] { engines.flatMap(\.devices).filter { $0.name != Self.reference } }

    /// Why devices that might be expected are not there.
    public var absences: [String] { engines.flatMap(\.absences) }

    public static let reference = "reference"
}

/// The case says nothing, and why.
struct Discard: Error {
    var reason: String
}

/// What does not hold.
struct Wrong: Error {
    var stage: String
    var kind: String
    var seen: String
}

// MARK: What is loaded

/// A case and its model: drawn once, and loaded once by each engine, for the reference and for all devices.
private final class LoadedCase {
    let subject: Case
    private var drawn: (any TensorSource)?
    private var models: [ObjectIdentifier: any EngineModel] = [:]

    init(_ subject: Case) { self.subject = subject }

    func source() throws -> any TensorSource {
        let source = try drawn ?? subject.source()
        drawn = source
        return source
    }

    func model(of engine: any Engine) throws -> any EngineModel {
        if let known = models[ObjectIdentifier(engine)] { return known }
        let model = try engine.load(source())
        models[ObjectIdentifier(engine)] = model
        return model
    }
}

// MARK: What is believed

/// The case on the reference device, run when it is first needed.
private final class Reference {
    private let loaded: LoadedCase
    private let oracle: any Engine
    private var exact: Transcript?
    private var floors: [Precision: NoiseFloor] = [:]

    init(_ loaded: LoadedCase, _ oracle: any Engine) {
        self.loaded = loaded
        self.oracle = oracle
    }

    private var script: Script { loaded.subject.script.on(EngineSet.reference) }

    /// - Throws: `Wrong` where the reference itself fails: that is a defect of this program.
    private func run(_ script: Script) throws -> Transcript {
        do {
            let transcript = try loaded.model(of: oracle).run(script)
            if let failure = transcript.failure {
                throw Wrong(stage: EngineSet.reference, kind: "error", seen: "the reference failed: \(failure.reason)")
            }
            return transcript
        } catch let wrong as Wrong {
            throw wrong
        } catch {
            throw Wrong(stage: EngineSet.reference, kind: "error", seen: "the reference failed: \(error)")
        }
    }

    func transcript() throws -> Transcript {
        if let exact { return exact }
        let transcript = try run(script)
        exact = transcript
        return transcript
    }

    func floor(_ precision: Precision) throws -> NoiseFloor {
        if let known = floors[precision] { return known }
        let exact = try transcript()
        let floor = try NoiseFloor(script, exact: exact, precision: precision, reference: run)
        floors[precision] = floor
        return floor
    }

    func refine(_ floor: NoiseFloor) throws { try floor.refine(reference: run) }
}

// MARK: One device

/// A case on one device, from loading the model to the comparison.
private struct Trial {
    private let loaded: LoadedCase
    let device: String
    let reference: Reference
    var precision = Precision(storage: .float32, accumulation: .float32)
    var refusesOnlyInvalid = true
    private(set) var worst: Double?
    private(set) var fallbacks: [String] = []
    /// What the engine is doing.
    private(set) var stage = "load"

    init(_ loaded: LoadedCase, _ device: String, _ reference: Reference) {
        self.loaded = loaded
        self.device = device
        self.reference = reference
    }

    private var subject: Case { loaded.subject }
    private var script: Script { subject.script.on(device) }

    mutating func run(on engine: any Engine) throws {
        if subject.check == .rejects { return try expectRefusal(by: engine) }
        let source = try loaded.source()
        let model = try load { [loaded] in try loaded.model(of: engine) }
        switch subject.check {
        case .agrees:
            try compareWithReference(try play(script, on: model))
        case .placement:
            // A corpus file may be of a machine that has others.
            let known = Set(engine.devices.map(\.name))
            if let absent = subject.script.placement.namedDevices.first(where: { !known.contains($0) }) {
                throw Discard(reason: "there is no device \(absent)")
            }
            try compareWithReference(try play(subject.script, on: model))
        case .chunking, .isolation, .state:
            let found = try play(script, on: model)
            let traits = try SessionTraits(
                ArchitectureCatalog.read(subject.metadata), optional: .only(Set(subject.optionalTensors)))
            for plain in History(script, traits).plain {
                try compare(found, with: try play(plain.script, on: model), rows: plain.rows)
            }
        case .determinism:
            let first = try play(script, on: model)
            // Races are rare: a few tries cost little.
            for _ in 0..<3 { try expectIdentical(first, try play(script, on: model), "a second run") }
        case .roundtrip:
            let first = try play(script, on: model)
            stage = "save"
            let bytes = try survive { try model.saved() }
            let file = try wrong("save", "not a GGUF file") { try GGUFFile(bytes: bytes, name: "the saved model") }
            try expectSame(file, as: source)
            let again = try load { try engine.load(MemorySource(file)) }
            try expectIdentical(first, try play(script, on: again), "the saved model")
        case .loaders:
            let first = try play(script, on: model)
            let file = try TemporaryFile(bytes: source.bytesOfFile())
            let loaded = try load { try engine.load(file: file.path) }
            try expectIdentical(first, try play(script, on: loaded), "the model in a file")
        case .metamorphic:
            let first = try play(script, on: model)
            guard let transformation = subject.transformation else { throw Discard(reason: "no transformation") }
            let changed = try transformation.applied(to: source)
            let other = try load { try engine.load(changed) }
            try compare(try play(script, on: other), with: first)
        case .rejects: break
        }
    }

    // MARK: Running

    /// Loads a model that is valid.
    private mutating func load(_ body: () throws -> any EngineModel) throws -> any EngineModel {
        stage = "load"
        do {
            return try survive(body)
        } catch let refusal as Refusal {
            guard refusesOnlyInvalid else { throw Discard(reason: "unsupported: \(refusal.reason)") }
            throw Wrong(stage: "load", kind: "refused", seen: refusal.reason)
        }
    }

    private mutating func play(_ script: Script, on model: any EngineModel) throws -> Transcript {
        stage = "session"
        let transcript = try survive(steps: script.steps) { try model.run(script) }
        fallbacks += transcript.fallbacks.filter { !fallbacks.contains($0) }
        if let failure = transcript.failure {
            throw Wrong(
                stage: failure.step.map { script.steps[$0].name } ?? "session", kind: "error", seen: failure.reason)
        }
        return transcript
    }

    /// What an engine does not survive is a failure.
    private func survive<Result>(steps: [Step] = [], _ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let death as EngineDeath {
            let stage = death.step.flatMap { steps.indices.contains($0) ? steps[$0].name : nil } ?? stage
            throw Wrong(stage: stage, kind: death.kind, seen: death.description)
        }
    }

    private func wrong<Result>(_ stage: String, _ kind: String, _ body: () throws -> Result) throws -> Result {
        do { return try body() } catch { throw Wrong(stage: stage, kind: kind, seen: "\(error)") }
    }

    // MARK: Comparing

    private mutating func compareWithReference(_ found: Transcript) throws {
        let expected = try reference.transcript()
        try compare(found, with: expected, isExact: true)
    }

    /// Two transcripts of the same steps.
    private mutating func compare(_ found: Transcript, with expected: Transcript, isExact: Bool = false) throws {
        guard found.results.count == expected.results.count else {
            throw Wrong(stage: "session", kind: "mismatch", seen: "\(found.results.count) of \(expected.results.count) steps")
        }
        for (step, (a, b)) in zip(found.results, expected.results).enumerated() {
            guard a.isDone == b.isDone else {
                throw Wrong(
                    stage: subject.script.steps[step].name, kind: "refused step",
                    seen: "step \(step): the \(a.isDone ? "other" : "one") session says that it cannot do this")
            }
            guard a.rows?.keys == b.rows?.keys, a.rows?.width == b.rows?.width else {
                throw Wrong(
                    stage: subject.script.steps[step].name, kind: "wrong rows",
                    seen: "step \(step): rows \(a.rows?.keys ?? []) of \(a.rows?.width ?? 0), expected \(b.rows?.keys ?? []) of \(b.rows?.width ?? 0)")
            }
        }
        let rows = expected.results.enumerated().flatMap { step, result in
            (result.rows?.keys ?? []).map { (step: step, key: $0) }
        }
        try judge(
            rows.map { row in
                Pair(
                    step: row.step, key: row.key, found: found.results[row.step].rows?.row(of: row.key) ?? [],
                    expected: expected.results[row.step].rows?.row(of: row.key) ?? [])
            }, isExact: isExact)
    }

    /// Some rows of a script's outputs with those of a plain one, whose last step they are of.
    private mutating func compare(
        _ found: Transcript, with plain: Transcript, rows: [(key: Int, step: Int, original: Int)]
    ) throws {
        let pairs = try rows.map { row in
            guard let a = found.results[row.step].rows?.row(of: row.original) else {
                throw Wrong(
                    stage: subject.script.steps[row.step].name, kind: "wrong rows", seen: "step \(row.step): no row \(row.original)")
            }
            let isPooled = plain.results.last?.rows?.keys == [0] && plain.results.last?.rows?.row(of: row.key) == nil
            guard let b = plain.results.last?.rows?.row(of: isPooled ? 0 : row.key) else {
                throw Wrong(stage: "process", kind: "wrong rows", seen: "no row \(row.key) of a sequence by itself")
            }
            return Pair(step: row.step, key: row.original, found: a, expected: b)
        }
        try judge(pairs, isExact: false)
    }

    private struct Pair {
        var step: Int
        var key: Int
        var found: ArraySlice<Double>
        var expected: ArraySlice<Double>

        var isIdentical: Bool {
            found.count == expected.count
                && zip(found, expected).allSatisfy { $0.bitPattern == $1.bitPattern || $0.isNaN && $1.isNaN }
        }
    }

    /// - Parameter isExact: what is expected is the reference's; else it has errors of its own.
    private mutating func judge(_ pairs: [Pair], isExact: Bool) throws {
        let different = pairs.filter { !$0.isIdentical }
        if different.isEmpty && !isExact { return }
        let noise = try reference.floor(precision)
        let limit = NoiseFloor.limit
        // Beyond what the device can hold, its infinities are right.
        guard different.allSatisfy({ $0.expected.allSatisfy { !$0.isFinite || abs($0) <= precision.storage.greatest } }) else {
            throw Discard(reason: "beyond the device's numbers")
        }
        var ratios = try ratios(different, noise, isExact: isExact)
        if !noise.isRefined, ratios.contains(where: { $0 > limit / 2 }) {
            try reference.refine(noise)
            ratios = try self.ratios(different, noise, isExact: isExact)
        }
        let failed = zip(different, ratios).map { (pair: $0, ratio: $1) }.max { $0.ratio < $1.ratio }
        worst = max(worst ?? 0, failed?.ratio ?? 0)
        guard let failed, failed.ratio > limit else { return }
        if noise.hasTies {
            worst = nil
            throw Discard(reason: "tie")
        }
        let isFinite = failed.pair.found.allSatisfy(\.isFinite)
        let (step, key) = (failed.pair.step, failed.pair.key)
        throw Wrong(
            stage: subject.script.steps[step].name,
            kind: isFinite || !failed.pair.expected.allSatisfy(\.isFinite) ? "mismatch" : "not finite",
            seen: isFinite
                ? "row \(key) of step \(step): error \(Self.text(failed.ratio)) times its noise floor, limit \(Int(limit)); \(Self.text(relativeError(failed.pair))) of the row's length"
                : "row \(key) of step \(step): not finite")
    }

    /// The error of each row, as a multiple of its noise floor: of twice that, where what is expected has an error too.
    private func ratios(_ pairs: [Pair], _ noise: NoiseFloor, isExact: Bool) throws -> [Double] {
        try pairs.map { pair in
            let floor = noise.floor(step: pair.step, key: pair.key) * (isExact ? 1 : 2)
            guard floor.isFinite else { throw Discard(reason: "no noise floor: results overflow") }
            return distance(pair.found, pair.expected) / max(floor, .leastNormalMagnitude)
        }
    }

    private func relativeError(_ pair: Pair) -> Double {
        distance(pair.found, pair.expected) / max(distance(pair.expected, ArraySlice(pair.expected.map { _ in 0 })), .leastNormalMagnitude)
    }

    private static func text(_ number: Double) -> String {
        number.isFinite ? String(format: number < 1e4 && number > 0.01 ? "%.3g" : "%.1e", number) : "\(number)"
    }

    private func expectIdentical(_ first: Transcript, _ second: Transcript, _ what: String) throws {
        for (step, (a, b)) in zip(first.results, second.results).enumerated() {
            let isSame = switch (a.rows, b.rows) {
            case (nil, nil): a.isDone == b.isDone
            case (let a?, let b?): a.isIdentical(to: b)
            default: false
            }
            guard isSame else {
                throw Wrong(
                    stage: subject.script.steps[step].name, kind: "other bits", seen: "\(what) gives other bits in step \(step)")
            }
        }
    }

    private func expectSame(_ file: GGUFFile, as source: any TensorSource) throws {
        for (key, value) in source.metadata where file.metadata[key] != value {
            throw Wrong(
                stage: "save", kind: "other metadata",
                seen: "\(key) is \(file.metadata[key]?.summary ?? "missing"), was \(value.summary)")
        }
        for tensor in source.tensors {
            guard let found = file.tensor(named: tensor.name) else {
                throw Wrong(stage: "save", kind: "other tensors", seen: "\(tensor.name) is missing")
            }
            let isSame = try source.data(of: tensor).littleEndian().withBytes { bytes in
                file.withBytes(of: found) { $0.count == bytes.count && $0.elementsEqual(bytes) }
            }
            guard found.type == tensor.type, isSame else {
                throw Wrong(stage: "save", kind: "other tensors", seen: "\(tensor.name) has changed")
            }
        }
    }

    // MARK: Refusing

    private mutating func expectRefusal(by engine: any Engine) throws {
        guard let contradiction = subject.contradiction else { throw Discard(reason: "no contradiction") }
        do {
            _ = try survive { try loaded.model(of: engine) }
        } catch let refusal as Refusal {
            guard refusal.reason.contains(contradiction.key) else {
                throw Wrong(
                    stage: "load", kind: "unnamed",
                    seen: "\(contradiction.key) (\(contradiction.kind.rawValue)) is refused without being named: \(refusal.reason)")
            }
            return
        }
        throw Wrong(
            stage: "load", kind: "accepted",
            seen: "\(contradiction.key) (\(contradiction.kind.rawValue): \(contradiction.value?.summary ?? "absent")) is accepted")
    }
}

extension EngineDeath {
    /// For signatures: without what differs from run to run.
    var kind: String {
        switch cause {
        case .signal(_, let name):
            lastWords.isEmpty ? name : "\(name): \(lastWords.filter { !$0.isNumber }.prefix(100))"
        case .exit(let status): "exit \(status)"
        case .hang: "hang"
        case .memory: "memory"
        case .protocolViolation: "protocol"
        }
    }
}

extension Precision.Format {
    /// The greatest finite number.
    var greatest: Double {
        switch self {
        case .float64: .greatestFiniteMagnitude
        case .float32: Double(Float.greatestFiniteMagnitude)
        case .float16: 65504
        }
    }
}

/// A file that goes when nobody needs it any more.
final class TemporaryFile {
    let path: String

    init(bytes: [UInt8]) throws {
        let folder = FileManager.default.temporaryDirectory
        path = folder.appendingPathComponent("gguf-fuzz-\(UUID().uuidString).gguf").path
        do {
            try Data(bytes).write(to: URL(fileURLWithPath: path))
        } catch {
            throw Discard(reason: "\(path): cannot be written")
        }
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}
