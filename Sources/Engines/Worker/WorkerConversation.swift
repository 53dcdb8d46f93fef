import Foundation

/// What is asked of a worker and what it answers, frame by frame. The worker may say whatever it likes.
final class WorkerConversation {
    /// A child of the worker that computed has ended.
    struct ChildEnded: Error {
        var note: DeathNote
    }

    private let input: FileDescriptorStream
    private let output: FileDescriptorStream
    /// The last step that began, not decoded: only of a worker that died does it matter.
    private var lastStep: Frame?
    /// Where it says that it dies, not decoded.
    private var lastStack: Frame?
    /// Whose memory counts too: a child, where the worker says so.
    private(set) var child: Int32?

    /// - Parameters:
    ///   - writing: the descriptor of the worker's standard input.
    ///   - reading: that of its standard output.
    ///   - longestAnswer: bytes that an answer may have.
    init(writing: Int32, reading: Int32, longestAnswer: Int) {
        input = FileDescriptorStream(writing)
        output = FileDescriptorStream(reading)
        output.longestPayload = longestAnswer
    }

    /// - Parameters:
    ///   - request: what is asked.
    ///   - deadline: until when the answer must be there.
    ///   - whileWaiting: asked now and then; what it throws ends the waiting.
    /// - Returns: the answer, of one of the kinds that answers have.
    /// - Throws: `ChildEnded`, `ProtocolError`, `FileDescriptorStream.Ended` or `TimedOut`, or what `whileWaiting`
    ///   throws.
    func answer(
        _ request: Frame, deadline: ContinuousClock.Instant? = nil, whileWaiting: @escaping () throws -> Void = {}
    ) throws -> Frame {
        lastStep = nil
        lastStack = nil
        for stream in [input, output] {
            stream.deadline = deadline
            stream.whileWaiting = whileWaiting
        }
        try input.write(request)
        while true {
            let frame = try output.read()
            switch frame.kind {
            case .begin: lastStep = frame
            case .stack: lastStack = frame
            case .answer, .refused, .unsupported, .error: return frame
            case .process: child = try frame.read { Int32(try $0.integer(in: 1...Int(Int32.max))) }
            case .death:
                let note: DeathNote = try frame.read()
                try input.write(Frame(.resume))
                throw ChildEnded(note: note)
            case .describe, .load, .run, .differentiate, .adapt, .train, .save, .readVocabulary, .tokenize, .resume:
                throw ProtocolError("a request from a worker")
            }
        }
    }

    /// The death of a worker, where it was when it last said so.
    func death(_ cause: EngineDeath.Cause, lastWords: String) -> EngineDeath {
        EngineDeath(
            cause, lastWords: lastWords, step: try? lastStep?.read(Int.self),
            frames: (try? lastStack?.read([StackFrame].self))?.functions ?? [])
    }
}

extension Frame {
    /// - Throws: the reason, where the answer is why there is none: `Refusal`, `Unsupported` or `EngineError`.
    func expectAnswer() throws -> Frame {
        func reason() throws -> String {
            let reason = try read(String.self).onOneLine
            return reason.isEmpty ? "without a reason" : reason
        }
        switch kind {
        case .refused: throw Refusal(try reason())
        case .unsupported: throw Unsupported(try reason())
        case .error: throw EngineError(try reason())
        default: return self
        }
    }
}
