import Foundation

/// How a worker is started, and what it may use.
public struct WorkerCommand: Hashable, Sendable {
    /// The program and its arguments.
    public var executable: String
    public var arguments: [String]
    public var limits: Limits
    /// Added to the environment of this process, which goes before it.
    public var environment: [String: String]

    /// What passes these is a verdict: a hang, or unbounded memory.
    public struct Limits: Hashable, Sendable {
        /// For one answer.
        public var time: Duration
        /// Resident bytes of the worker.
        public var memory: Int
        public init(time: Duration = .seconds(60), memory: Int = 4 << 30) {
            self.time = time
            self.memory = memory
        }
    }

    public init(
        executable: String, arguments: [String], limits: Limits = Limits(), environment: [String: String] = [:]
    ) {
        self.executable = executable
        self.arguments = arguments
        self.limits = limits
        self.environment = environment
    }
}

/// One worker process, from its start to its end.
final class WorkerProcess {
    private let process = Process()
    private let ended = DispatchSemaphore(value: 0)
    private let conversation: WorkerConversation
    private let pipes: (input: Pipe, output: Pipe)
    private let errors: ErrorLog
    private let limits: WorkerCommand.Limits
    /// Of its resident memory, in bytes, until the answer.
    private var memoryLimit: Int
    /// Whether it serves on: not after a death that was more than a child's.
    private(set) var isAlive = true

    /// - Throws: `EngineStartError` where there is no such program.
    init(_ command: WorkerCommand) throws {
        limits = command.limits
        memoryLimit = limits.memory
        pipes = (Pipe(), Pipe())
        errors = try ErrorLog()
        process.executableURL = URL(fileURLWithPath: command.executable)
        process.arguments = command.arguments
        // Swift's own report of a crash takes a hundred times as long as the case, and says no more than its first
        // line.
        process.environment = ProcessInfo.processInfo.environment.merging(command.environment) { own, _ in own }
            .merging(["SWIFT_BACKTRACE": "enable=no"]) { $1 }
        process.standardInput = pipes.input
        process.standardOutput = pipes.output
        process.standardError = errors.handle
        let ended = ended
        process.terminationHandler = { _ in ended.signal() }

        // A write to a worker that is gone is an error, not the end of this program.
        signal(SIGPIPE, SIG_IGN)
        let writing = pipes.input.fileHandleForWriting.fileDescriptor
        let reading = pipes.output.fileHandleForReading.fileDescriptor
        for descriptor in [writing, reading] { _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK) }
        #if os(Linux)
            // A toy model in one piece.
            let setPipeSize: Int32 = 1031  // F_SETPIPE_SZ
            _ = fcntl(writing, setPipeSize, 1 << 20)
        #endif
        // This process shall not need the memory that the worker may not.
        conversation = WorkerConversation(writing: writing, reading: reading, longestAnswer: limits.memory)
        do {
            try process.run()
        } catch {
            throw EngineStartError("\(command.executable): cannot be started: \(error.localizedDescription)")
        }
        // Only the worker holds these ends now: its end is the end of the stream.
        try? pipes.input.fileHandleForReading.close()
        try? pipes.output.fileHandleForWriting.close()
    }

    /// - Parameters:
    ///   - request: what is asked.
    ///   - growth: the memory that it may take for it beyond what it has, in bytes; nil: as much as its limits say.
    /// - Returns: the answer, of one of the kinds that answers have.
    /// - Throws: `EngineDeath` if there is none; the worker is gone then.
    func answer(_ request: Frame, growth: Int? = nil) throws -> Frame {
        memoryLimit = min(limits.memory, growth.map { residentMemory + $0 } ?? limits.memory)
        errors.startAnew()
        do {
            return try conversation.answer(request, deadline: .now + limits.time) { [weak self] in
                // Where to say what it is were too much, nobody would know that it was stopped.
                try self?.check(isStart: request.kind == .describe)
            }
        } catch let ended as WorkerConversation.ChildEnded {
            throw deathOfChild(ended.note)
        } catch is FileDescriptorStream.TimedOut {
            throw end(.hang(limits.time))
        } catch is Stopped {
            throw end(.stopped)
        } catch is MemoryExceeded {
            throw end(.memory(memoryLimit))
        } catch let error as ProtocolError {
            throw end(.protocolViolation(error.description))
        } catch {
            throw end(nil)
        }
    }

    /// What a worker says that goes on with another child.
    private func deathOfChild(_ note: DeathNote) -> EngineDeath {
        switch note {
        case .signal(let number): death(.signal(number, SignalName.of(number)))
        case .exit(let status): death(.exit(status))
        }
    }

    private func death(_ cause: EngineDeath.Cause) -> EngineDeath {
        let report = errors.sanitizerReport
        var death = conversation.death(cause, lastWords: report?.line.shortened ?? errors.lastWords)
        if death.frames.isEmpty, let report { death.frames = report.frames.functions }
        return death
    }

    /// Ends the worker, whatever it does, and waits for it: no zombie stays.
    /// - Parameter grace: how long it may take to end by itself.
    func stop(grace: DispatchTimeInterval = .seconds(2)) {
        try? pipes.input.fileHandleForWriting.close()
        if ended.wait(timeout: .now() + grace) == .timedOut {
            kill(process.processIdentifier, SIGKILL)
            ended.wait()
        }
        ended.signal()
        try? pipes.output.fileHandleForReading.close()
    }

    /// - Parameter cause: nil: the worker's own end says it.
    private func end(_ cause: EngineDeath.Cause?) -> EngineDeath {
        isAlive = false
        var cause = cause
        if cause == nil {
            // Its end of the pipe may close before the process has ended.
            if ended.wait(timeout: .now() + 2) == .success {
                ended.signal()
            } else {
                cause = .protocolViolation("it closed its input or output and went on")
            }
        }
        // A child ends with its input, and its parent waits for it: killed before, it would leave a zombie to others.
        if conversation.child != nil {
            try? pipes.input.fileHandleForWriting.close()
            if ended.wait(timeout: .now() + 1) == .success { ended.signal() }
        }
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        ended.wait()
        ended.signal()
        let status = process.terminationStatus
        let own: EngineDeath.Cause = process.terminationReason == .uncaughtSignal
            ? .signal(status, SignalName.of(status)) : .exit(status)
        stop()
        return death(cause ?? own)
    }

    private struct Stopped: Error {}
    private struct MemoryExceeded: Error {}

    /// In bytes. A worker that names a child, which may be anybody, is not out of sight itself.
    private var residentMemory: Int {
        [process.processIdentifier, conversation.child].compactMap { $0.flatMap(ResidentMemory.of) }.max() ?? 0
    }

    private func check(isStart: Bool) throws {
        if EngineStop.isRequested, !isStart { throw Stopped() }
        if residentMemory > memoryLimit { throw MemoryExceeded() }
        errors.shorten()
    }
}

/// An engine that could not be started, and why.
public struct EngineStartError: Error, Hashable, Sendable, CustomStringConvertible {
    public var description: String
    public init(_ description: String) { self.description = description }
}

enum SignalName {
    static func of(_ signal: Int32) -> String {
        switch signal {
        case SIGABRT: "SIGABRT"
        case SIGSEGV: "SIGSEGV"
        case SIGBUS: "SIGBUS"
        case SIGILL: "SIGILL"
        case SIGTRAP: "SIGTRAP"
        case SIGFPE: "SIGFPE"
        case SIGKILL: "SIGKILL"
        case SIGTERM: "SIGTERM"
        default: "signal \(signal)"
        }
    }
}

/// What a worker writes to standard error.
private final class ErrorLog {
    private let file: TemporaryFile
    /// Where the words begin that were said since the last request.
    private var start = 0
    private static let longest = 1 << 20

    init() throws {
        file = try TemporaryFile()
        file.appends()
    }

    var handle: FileHandle { file.handle }
    func shorten() { if file.shorten(Self.longest) { start = 0 } }
    /// What has been written has nothing to do with what comes.
    func startAnew() {
        shorten()
        start = file.size
    }

    /// What was said since the last request, the end of it if that is long.
    private var words: String { file.end(min(1 << 16, max(0, file.size - start))) }

    var sanitizerReport: SanitizerReport? { SanitizerReport(in: words) }

    /// The last line that looks like an assertion, else the last that says anything.
    var lastWords: String {
        let lines = words.split(whereSeparator: \.isNewline)
            .map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
        return (lines.last(where: EngineDeath.isAssertion) ?? lines.last ?? "").shortened
    }
}

extension String {
    /// As much of a line as a report shows.
    fileprivate var shortened: String { String(prefix(300)) }
}

enum ResidentMemory {
    /// In bytes; nil where this system does not say.
    static func of(_ process: Int32) -> Int? {
        #if os(Linux)
            guard let text = try? String(contentsOfFile: "/proc/\(process)/statm", encoding: .utf8) else { return nil }
            let fields = text.split(separator: " ")
            return fields.count > 1 ? Int(fields[1]).map { $0 * Int(getpagesize()) } : nil
        #else
            return nil
        #endif
    }
}
