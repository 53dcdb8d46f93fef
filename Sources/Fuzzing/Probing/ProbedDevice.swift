import Engines
import Foundation
import Inference

/// A device that is asked questions, by several threads.
final class ProbedDevice: @unchecked Sendable {
    private let engine: any Engine
    private let oracle: any Engine
    private let name: String
    // The engine is used by one thread at a time.
    private let lock = NSLock()
    /// Why no more is asked: there was no answer in time, and there would be none to the next question either.
    private var hang: String?

    init(_ engine: any Engine, _ name: String, oracle: any Engine) {
        self.engine = engine
        self.oracle = oracle
        self.name = name
    }

    var traits: EngineTraits { engine.traits }

    enum Answer {
        case rows(ProbeMeasurement)
        /// Why there are none.
        case notAsked(String)
    }

    /// - Throws: what makes no model, and what the reference throws: that is a defect of this program.
    func answer(to question: ProbeQuestion) throws -> Answer {
        let sources = try question.models.map { try $0() }
        switch try lock.withLock({ try transcripts(of: sources, question.script.on(name)) }) {
        case .success(let transcripts): return .rows(try ProbeMeasurement(question, sources, transcripts, oracle))
        case .failure(let refused): return .notAsked(refused.reason)
        }
    }

    private struct NotAsked: Error {
        var reason: String
    }

    private func transcripts(
        of sources: [any TensorSource], _ script: Script
    ) throws -> Result<[Transcript], NotAsked> {
        if let hang { return .failure(NotAsked(reason: hang)) }
        do {
            var transcripts: [Transcript] = []
            for source in sources {
                let transcript = try engine.load(source).run(script)
                if let failure = transcript.failure { return .failure(NotAsked(reason: failure.reason)) }
                transcripts.append(transcript)
            }
            return .success(transcripts)
        } catch let refusal as Refusal {
            return .failure(NotAsked(reason: refusal.reason))
        } catch let unsupported as Unsupported {
            return .failure(NotAsked(reason: unsupported.reason))
        } catch let death as EngineDeath {
            if case .hang = death.cause { hang = "\(death)" }
            return .failure(NotAsked(reason: "\(death)"))
        }
    }
}
