import CSystem
import Foundation
import GGUF
import Inference

/// The other end of a worker process: serves an engine on standard input and output.
public enum WorkerServer {
    /// Answers requests until standard input ends.
    ///
    /// Standard input is read by a thread of its own, so that a worker whose supervisor is gone ends even if it hangs.
    /// - Parameters:
    ///   - version: of the engine, for reports.
    ///   - survives: whether a death of the engine shall cost less than a new worker: it then lives in a child of this
    ///     process, which must have no other thread nor hold a device that children cannot share.
    public static func serve(_ engine: any Engine, version: String, survives: Bool = false) -> Never {
        // What the engine prints must not get between the frames.
        let descriptor = dup(STDOUT_FILENO)
        dup2(STDERR_FILENO, STDOUT_FILENO)
        let output = FileDescriptorStream(descriptor)
        if survives { goOnInChild(output) }

        let requests = RequestQueue()
        Thread.detachNewThread {
            let input = FileDescriptorStream(STDIN_FILENO)
            while let frame = try? input.read() { requests.append(frame) }
            _exit(0)
        }
        var model: (any EngineModel)?
        while true {
            let request = requests.next()
            do {
                try output.write(answer(request, engine, &model, version) { note in try? output.write(note) })
            } catch {
                guard (try? output.write(Frame(.error, "\(error)"))) != nil else { exit(0) }
            }
        }
    }

    /// Returns in a child of this process, and again in another one after each death.
    private static func goOnInChild(_ output: FileDescriptorStream) {
        let input = FileDescriptorStream(STDIN_FILENO, readsAhead: false)
        while true {
            let child = csystem_fork()
            if child < 0 { return }
            if child == 0 {
                try? output.write(Frame(.process, Int(getpid())))
                return
            }
            var status: Int32 = 0
            while waitpid(child, &status, 0) < 0 && errno == EINTR {}
            let (signal, code) = (status & 0x7F, status >> 8 & 0xFF)
            if status == 0 { exit(0) }
            do {
                try output.write(Frame(.death, signal == 0 ? DeathNote.exit(code) : .signal(signal)))
                while try input.read().kind != .resume {}
            } catch {
                exit(1)
            }
        }
    }

    private static func answer(
        _ request: Frame, _ engine: any Engine, _ model: inout (any EngineModel)?, _ version: String,
        note: (Frame) -> Void
    ) throws -> Frame {
        func loaded() throws -> any EngineModel {
            guard let model else { throw ProtocolError("no model has been loaded") }
            return model
        }
        do {
            switch request.kind {
            case .describe:
                try request.read { _ in }
                return try Frame(
                    .answer,
                    json: EngineDescription(
                        engine: engine.name, version: version, devices: engine.devices, absences: engine.absences,
                        refusesOnlyInvalid: engine.refusesOnlyInvalid, traits: engine.traits))
            case .load:
                let load = try request.read(LoadRequest.self)
                model = nil
                model = load.inMemory
                    ? try engine.load(inMemory: Refusal.wrapping { try FileSource(path: load.path) })
                    : try engine.load(file: load.path)
                return Frame(.answer)
            case .run:
                let script = try request.read(Script.self)
                let transcript = try loaded().run(script) { note(Frame(.begin, $0)) }
                return Frame(.answer, writing: transcript.write)
            case .save:
                let path = try request.read(String.self)
                try loaded().save(to: path)
                return Frame(.answer)
            case .resume, .answer, .refused, .unsupported, .error, .begin, .process, .death:
                throw ProtocolError("no request")
            }
        } catch let error as Refusal {
            return Frame(.refused, error.reason)
        } catch let error as Unsupported {
            return Frame(.unsupported, error.reason)
        }
    }
}

/// Requests, from the thread that reads them to the one that answers them.
private final class RequestQueue: @unchecked Sendable {
    private let condition = NSCondition()
    private var frames: [Frame] = []

    func append(_ frame: Frame) {
        condition.withLock {
            frames.append(frame)
            condition.signal()
        }
    }

    func next() -> Frame {
        condition.withLock {
            while frames.isEmpty { condition.wait() }
            return frames.removeFirst()
        }
    }
}
