import CSystem
import Foundation
import GGUF
import Inference

/// The other end of a worker process: serves an engine on standard input and output.
public enum WorkerServer {
    /// Answers requests until standard input ends, when a worker ends even if it hangs: its supervisor is gone.
    /// - Parameters:
    ///   - engine: what runs the models that are asked for.
    ///   - version: of the engine, for reports.
    ///   - survives: whether a death of the engine shall cost less than a new worker: it then lives in a child of this
    ///     process, which must have no other thread nor hold a device that children cannot share.
    public static func serve(_ engine: any Engine, version: String, survives: Bool = false) -> Never {
        // What the engine prints must not get between the frames.
        let descriptor = dup(STDOUT_FILENO)
        dup2(STDERR_FILENO, STDOUT_FILENO)
        let output = FileDescriptorStream(descriptor)
        csystem_report_crashes(descriptor)
        if !survives || !goOnInChild(output) { endWithInput() }

        let input = FileDescriptorStream(STDIN_FILENO)
        var model: (any EngineModel)?
        while let request = try? input.read() {
            do {
                try output.write(answer(request, engine, &model, version) { note in try? output.write(note) })
            } catch {
                guard (try? output.write(Frame(.error, "\(error)"))) != nil else { _exit(0) }
            }
        }
        _exit(0)
    }

    /// A thread that sleeps until the supervisor is gone, and then ends this process whatever it does.
    private static func endWithInput() {
        Thread.detachNewThread {
            var input = [watched(STDIN_FILENO)]
            // Some systems also wake it for what it does not ask for.
            while poll(&input, 1, -1) < 1 || input[0].revents & ended == 0 { usleep(50_000) }
            _exit(0)
        }
    }

    private static let ended = Int16(POLLHUP | POLLERR | POLLNVAL)
    private static func watched(_ descriptor: Int32) -> pollfd {
        pollfd(fd: descriptor, events: Int16(POLLHUP), revents: 0)
    }

    /// Returns true in a child of this process, and again in another one after each death; false where this process
    /// can have none.
    private static func goOnInChild(_ output: FileDescriptorStream) -> Bool {
        let input = FileDescriptorStream(STDIN_FILENO, readsAhead: false)
        // Each child's heap grows from nothing: by pages, that would be most of what a death costs.
        csystem_use_huge_pages(8 << 20)
        while true {
            var end: Int32 = -1
            let child = csystem_fork(&end)
            if child < 0 { return false }
            if child == 0 {
                try? output.write(Frame(.process, Int(getpid())))
                return true
            }
            var ends = [watched(STDIN_FILENO), watched(end)]
            while poll(&ends, 2, -1) < 0 && errno == EINTR {}
            close(end)
            // The supervisor is gone, whatever the child does.
            if ends[0].revents != 0 { kill(child, SIGKILL) }
            var status: Int32 = 0
            while waitpid(child, &status, 0) < 0 && errno == EINTR {}
            if ends[0].revents != 0 || status == 0 { exit(0) }
            let (signal, code) = (status & 0x7F, status >> 8 & 0xFF)
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
                    ? try engine.load(fileInMemory: load.path) : try engine.load(file: load.path)
                return Frame(.answer)
            case .run:
                let script = try request.read(Script.self)
                let transcript = try loaded().run(script) { note(Frame(.begin, $0)) }
                return Frame(.answer, writing: transcript.write)
            case .differentiate:
                let script = try request.read(Script.self)
                let transcript = try loaded().differentiate(script)
                return Frame(.answer, writing: transcript.write)
            case .adapt:
                let adapters = try request.read([AdapterFile].self)
                try loaded().adapt(by: adapters)
                return Frame(.answer)
            case .train:
                let request = try request.read(TrainingRequest.self)
                return Frame(.answer, try loaded().train(request.script, request.training, to: request.path))
            case .save:
                let path = try request.read(String.self)
                try loaded().save(to: path)
                return Frame(.answer)
            case .readVocabulary:
                let path = try request.read(String.self)
                model = nil
                try engine.readVocabulary(file: path)
                return Frame(.answer)
            case .tokenize:
                let (path, inputs) = try request.read { (try $0.read(String.self), try $0.read([TokenizerInput].self)) }
                model = nil
                return Frame(.answer, try engine.tokenize(inputs, file: path))
            case .resume, .answer, .refused, .unsupported, .error, .begin, .stack, .process, .death:
                throw ProtocolError("no request")
            }
        } catch let error as Refusal {
            return Frame(.refused, error.reason)
        } catch let error as Unsupported {
            return Frame(.unsupported, error.reason)
        }
    }
}
