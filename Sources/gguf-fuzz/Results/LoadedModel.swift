import Architectures
import Crypto
import Devices
import Foundation
import GGUF
import Inference

/// A model from a file, with what results files say of it.
struct LoadedModel {
    let path: String
    let model: Model
    let hash: String

    init(path: String) throws {
        self.path = path
        let file = try GGUFFile(path: path)
        model = try CommandError.naming(path) { try Model(FileSource(file)) }
        do {
            let digest = SHA256.hash(data: try Data(contentsOf: URL(fileURLWithPath: path), options: .alwaysMapped))
            hash = digest.map { String(format: "%02x", $0) }.joined()
        } catch {
            throw CommandError("\(path): cannot be read")
        }
    }

    /// Runs the tokens in one batch.
    func results(
        tokens: [Int], encoderTokens: [Int], device: any Device, cache: StateType, context: Int?, pooling: Pooling?,
        engine: EngineOptions
    ) throws -> ResultsFile {
        let placement = try engine.placement(on: device)
        let options = SessionOptions(
            context: context, microBatch: max(512, tokens.count, encoderTokens.count), cacheType: cache,
            pooling: pooling, isStrict: engine.strict)
        let (session, evaluation) = try CommandError.naming(path) {
            let session = try Session(
                model, placement: placement, devices: .all(threads: engine.threads), options: options)
            return (session, try Evaluation(session, tokens: tokens, encoderTokens: encoderTokens))
        }
        for fallback in session.fallbacks { Terminal.error("note: \(fallback); it ran on cpu") }
        let architecture = type(of: model.architecture)
        return ResultsFile(
            architecture: architecture.name, modelName: URL(fileURLWithPath: path).lastPathComponent, modelHash: hash,
            engine: "builtin", engineVersion: GGUFFuzz.version, device: device.name, deviceSummary: device.summary,
            placement: placement.description, cacheType: cache, context: session.context,
            pooling: pooling ?? model.architecture.traits.pooling, tokens: tokens, encoderTokens: encoderTokens,
            kind: evaluation.kind, width: evaluation.rows.width, elements: evaluation.rows.elements)
    }
}
