import Engines
import Inference

/// A case and its model: drawn once, and loaded once by each engine, for the reference and for all devices.
final class LoadedCase {
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
