import Engines
import Inference

/// A case and its model: drawn once, and loaded once by each engine, for the reference and for all devices.
final class LoadedCase {
    let subject: Case
    private let made: Made

    private final class Made {
        var source: (any TensorSource)?
        var trained: (any TensorSource)?
        var traits: SessionTraits?
        var adapters: [(file: TemporaryFile, adapter: AdapterFile)]?
        var models: [ModelKey: any EngineModel] = [:]
        var transcripts: [TranscriptKey: Transcript] = [:]
    }

    private struct ModelKey: Hashable {
        var engine: ObjectIdentifier
        var isInMemory: Bool
    }

    private struct TranscriptKey: Hashable {
        var device: String
        var isInMemory: Bool
    }

    /// - Parameter other: a case that differs only in its check: what was made for it serves this one.
    init(_ subject: Case, sharing other: LoadedCase? = nil) {
        self.subject = subject
        made = other?.made ?? Made()
    }

    func source() throws -> any TensorSource {
        let source = try made.source ?? subject.source()
        made.source = source
        return source
    }

    /// - Throws: as `Case.sessionTraits`.
    func sessionTraits() throws -> SessionTraits {
        let traits = try made.traits ?? subject.sessionTraits()
        made.traits = traits
        return traits
    }

    /// The model when it has learned the text that the script processes.
    /// - Throws: `Discard` where it does not.
    func trained() throws -> any TensorSource {
        if let trained = made.trained { return trained }
        do {
            let trained = try Lesson(subject.script).learned(by: source()).model
            made.trained = trained
            return trained
        } catch let unlearned as Lesson.Unlearned {
            throw Discard(reason: unlearned.description)
        }
    }

    /// Of the model's weights, in the types that they have.
    func weightBytes() throws -> Int {
        try source().tensors.reduce(0) { $0 + ($1.byteCount ?? 0) }
    }

    /// - Parameter isInMemory: as a program loads a model that it has in memory; else in the engine's cheapest way.
    func model(of engine: any Engine, isInMemory: Bool = false) throws -> any EngineModel {
        let key = ModelKey(engine: ObjectIdentifier(engine), isInMemory: isInMemory)
        if let known = made.models[key] { return known }
        let model = try isInMemory ? engine.load(inMemory: source()) : engine.load(source())
        if subject.adapters != nil { try model.adapt(by: adapters()) }
        made.models[key] = model
        return model
    }

    /// Those of the case, as files that stay as long as what was made for it.
    private func adapters() throws -> [AdapterFile] {
        let files = try made.adapters ?? subject.adapterSources(for: source()).map { adapter, source in
            let file = try TemporaryFile(bytes: source.bytesOfFile())
            return (file, AdapterFile(path: file.path, scale: adapter.scale, layers: adapter.layers))
        }
        made.adapters = files
        return files.map(\.adapter)
    }

    /// What the script gives on a device.
    func transcript(
        on device: String, isInMemory: Bool, _ play: () throws -> Transcript
    ) rethrows -> Transcript {
        let key = TranscriptKey(device: device, isInMemory: isInMemory)
        if let known = made.transcripts[key] { return known }
        let transcript = try play()
        made.transcripts[key] = transcript
        return transcript
    }
}
