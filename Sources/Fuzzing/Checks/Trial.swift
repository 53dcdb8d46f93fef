import Architectures
import Devices
import Engines
import GGUF
import Inference

/// A case on one device, from loading the model to the comparison.
struct Trial {
    let loaded: LoadedCase
    let device: String
    let reference: Reference
    var precision = Precision(storage: .float32, accumulation: .float32)
    var refusesOnlyInvalid = true
    /// Whether a device that seems wrong is to be sampled for until chance is ruled out: not where it is no news.
    var needsProof: (Wrong) -> Bool = { _ in true }
    /// The error of the worst row over its noise floor, where rows were compared that way.
    var worst: Double?
    private(set) var fallbacks: [String] = []
    /// What the engine is doing.
    var stage = "load"

    let engines: EngineSet

    init(_ loaded: LoadedCase, _ device: String, _ reference: Reference, _ engines: EngineSet) {
        self.engines = engines
        self.loaded = loaded
        self.device = device
        self.reference = reference
    }

    var subject: Case { loaded.subject }
    var script: Script { subject.script.on(device) }
    /// The most that is read of a file that an engine saved. No toy is as long.
    static let longestFile = 1 << 30
    /// An engine may need so many times the memory that a model's weights take; what takes more has no bounds.
    static let memoryPerWeight = 8

    mutating func run(on engine: any Engine) throws {
        if subject.check == .rejects { return try expectRefusal(by: engine) }
        if subject.check == .malformed { return try expectRefusalOrSameModel(by: engine) }
        if subject.check == .tokenizes { return try expectTokens(of: engine) }
        if subject.check == .trains { return try expectText(of: engine) }
        let source = try loaded.source()
        let model = try load { [loaded, subject] in
            try loaded.model(of: engine, isInMemory: subject.check.isOfLoaders)
        }
        switch subject.check {
        case .agrees:
            try compareWithReference(try play(script, on: model))
        case .placement:
            // A corpus file may be of a machine that has others.
            for name in subject.script.placement.namedDevices {
                guard engine.devices.contains(where: { $0.name == name }), let other = engines.precision(of: name)
                else {
                    throw Discard(reason: "there is no device \(name)")
                }
                precision = precision.coarsest(with: other)
            }
            try compareWithReference(try play(subject.script, on: model))
        case .chunking, .isolation, .state:
            let found = try playFirst(on: model)
            for plain in History(script, try loaded.sessionTraits()).plain {
                try compare(found, with: try play(plain.script, on: model), rows: plain.rows)
            }
        case .settings:
            let first = try playFirst(on: model)
            try compare(try play(script.withPlainSettings(try loaded.sessionTraits()), on: model), with: first)
        case .determinism:
            let first = try playFirst(on: model)
            // Races are rare: a few tries cost little.
            for _ in 0..<3 { try expectIdentical(first, try play(script, on: model), "a second run") }
        case .roundtrip:
            let first = try playFirst(on: model)
            stage = "save"
            let saved = try TemporaryFile()
            try survive { try model.save(to: saved.path) }
            guard let bytes = saved.contents(limit: Self.longestFile) else {
                throw Discard(reason: "limit: a saved model of more than \(Self.longestFile >> 20) MiB is not read")
            }
            let file = try wrong("save", "not a GGUF file") { try GGUFFile(bytes: bytes, name: "the saved model") }
            try expectSame(file, as: source)
            try withExtendedLifetime(saved) {
                let again = try load(isTaken: true) { try engine.load(file: saved.path) }
                try expectSameOutputs(first, try play(script, on: again), "the saved model", engine)
            }
        case .loaders:
            let first = try playFirst(on: model)
            let file = try TemporaryFile(bytes: source.bytesOfFile())
            try withExtendedLifetime(file) {
                let other = try load(isTaken: true) { try engine.load(file: file.path) }
                try expectSameOutputs(first, try play(script, on: other), "the model in a file", engine)
            }
        case .metamorphic:
            let first = try playFirst(on: model)
            guard let transformation = subject.transformation else { throw Discard(reason: "no transformation") }
            let changed = try transformation.applied(to: source)
            let other = try load { try engine.load(changed) }
            try compare(try play(script, on: other), with: first)
        case .gradients where engine.traits.trains == true: try compareSteps(of: model)
        case .gradients:
            guard engine.traits.differentiates == true else { throw Unsupported("gradients") }
            stage = "gradient"
            try reference.checkSlopes()
            let transcript = try survive { try model.differentiate(script) }
            note(transcript.fallbacks)
            if let failure = transcript.failure {
                throw Wrong(
                    stage: stage, kind: "error: \(failure.reason.withoutNumbers)", seen: failure.reason.onOneLine)
            }
            try compareWithReference(transcript)
        case .rejects, .malformed, .tokenizes, .trains: break
        }
    }

    mutating func note(_ found: [String]) { fallbacks += found.filter { !fallbacks.contains($0) } }

    /// Those of a model in memory and of its file: the same bits, or where kernels depend on which tensors there are, or
    /// on how they could be laid out, the same numbers.
    private mutating func expectSameOutputs(
        _ first: Transcript, _ second: Transcript, _ what: String, _ engine: any Engine
    ) throws {
        let isRepacked = subject.script.options.settings[.repackedWeights].flag
        if isRepacked || engine.devices.first(where: { $0.name == device })?.fusesByTensors ?? false {
            try compare(second, with: first)
        } else {
            try expectIdentical(first, second, what)
        }
    }

    // MARK: Running

    /// Loads a model that is valid.
    /// - Parameter isTaken: whether the engine has taken this very model before.
    mutating func load(isTaken: Bool = false, _ body: () throws -> any EngineModel) throws -> any EngineModel {
        stage = "load"
        do {
            return try survive(body)
        } catch let refusal as Refusal {
            guard refusesOnlyInvalid || isTaken else { throw Discard(reason: "unsupported: \(refusal.reason)") }
            throw Wrong(stage: "load", kind: "refused", seen: refusal.reason)
        }
    }

    /// The script as it is. Numbers that are none are judged by the reference's, whatever the property: what is wrong
    /// in the same way twice is still wrong.
    mutating func playFirst(on model: any EngineModel) throws -> Transcript {
        let transcript = try loaded.transcript(on: device, isInMemory: subject.check.isOfLoaders) {
            try play(script, on: model)
        }
        if !transcript.results.allSatisfy({ $0.rows?.elements.allSatisfy(\.isFinite) ?? true }) {
            try compareWithReference(transcript)
        }
        return transcript
    }

    mutating func play(_ script: Script, on model: any EngineModel) throws -> Transcript {
        stage = "session"
        let transcript = try survive(steps: script.steps) { try model.run(script) }
        note(transcript.fallbacks)
        if let failure = transcript.failure {
            throw Wrong(
                stage: failure.step.flatMap { script.steps.indices.contains($0) ? script.steps[$0].name : nil }
                    ?? "session",
                kind: "error: \(failure.reason.withoutNumbers)", seen: failure.reason.onOneLine)
        }
        try expectExtents(of: transcript, script)
        return transcript
    }

    /// What an engine does not survive is a failure.
    func survive<Result>(steps: [Step] = [], _ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let death as EngineDeath {
            if case .stopped = death.cause { throw Discard(reason: Verdict.stopped) }
            if subject.check == .rejects, case .memory = death.cause {
                throw Discard(reason: "takes all the memory that the metadata asks for")
            }
            if case .memory(let limit) = death.cause, try loaded.weightBytes() > limit / Self.memoryPerWeight {
                throw Discard(reason: "limit: a worker may use \(limit >> 20) MiB, and the model is large")
            }
            let stage = death.step.flatMap { steps.indices.contains($0) ? steps[$0].name : nil } ?? stage
            throw Wrong(stage: stage, kind: death.kind, seen: death.description, frames: death.frames)
        }
    }

    private func wrong<Result>(_ stage: String, _ kind: String, _ body: () throws -> Result) throws -> Result {
        do { return try body() } catch { throw Wrong(stage: stage, kind: kind, seen: "\(error)") }
    }

    // MARK: Refusing

    private mutating func expectRefusal(by engine: any Engine) throws {
        guard let contradiction = subject.contradiction else { throw Discard(reason: "no contradiction") }
        let source = try loaded.source()
        for body in [{ try engine.load(inMemory: source) }, { try engine.load(source) }] {
            try expectRefusal(contradiction, body)
        }
    }

    private func expectRefusal(_ contradiction: Contradiction, _ body: () throws -> any EngineModel) throws {
        do {
            _ = try survive(body)
        } catch let refusal as Refusal {
            guard !refusesOnlyInvalid || refusal.reason.contains(contradiction.key) else {
                throw Wrong(
                    stage: "load", kind: "unnamed",
                    seen: "\(contradiction.key) (\(contradiction.kind.rawValue)) is refused without being named: "
                        + refusal.reason)
            }
            return
        }
        // What is as it was before its keys had bounds may take more than we do, if it survives that.
        guard refusesOnlyInvalid else { return }
        throw Wrong(
            stage: "load", kind: "accepted",
            seen: "\(contradiction.key) (\(contradiction.kind.rawValue): "
                + "\(contradiction.value?.summary ?? "absent")) is accepted")
    }
}

extension Check {
    /// Whether it needs a model more than once: changed, damaged, or as a file and what the file holds.
    public var copiesModel: Bool { isOfLoaders || self == .metamorphic || self == .malformed }

    /// Whether the model that it begins with is one in memory, beside which there is one from a file.
    fileprivate var isOfLoaders: Bool { self == .loaders || self == .roundtrip }
}

extension EngineDeath {
    /// For signatures: without what differs from run to run.
    var kind: String {
        switch cause {
        case .signal(_, let name):
            assertion.map { "\(name): \($0.withoutNumbers)" } ?? name
        case .exit(let status): "exit \(status)"
        case .hang: "hang"
        case .memory: "memory"
        case .protocolViolation: "protocol"
        case .stopped: Verdict.stopped
        }
    }
}

extension String {
    /// For signatures: a message's first line, without what differs from case to case.
    var withoutNumbers: String {
        String((split(whereSeparator: \.isNewline).first ?? "").replacing(/[0-9]+/, with: "N").prefix(120))
    }

    /// On one line.
    var onOneLine: String { split(whereSeparator: \.isNewline).joined(separator: ";") }
}
