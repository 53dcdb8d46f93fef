import Dispatch
import Engines
import Foundation

/// A program in a folder, run until it ends, its time is up, or somebody interrupts this program.
struct ChildProcess {
    enum End: Equatable {
        case exit(Int32)
        case signal(Int32)
        case timedOut
        case interrupted
    }
    var end: End
    /// The end of what it wrote to standard output and standard error.
    var output: String
    var errors: String

    private static let longestOutput = 1 << 20

    /// - Parameters:
    ///   - environment: variables that differ from this program's own.
    ///   - isShielded: an interrupt does not end it, since it is short and leaves a mess.
    /// - Throws: `CommandError` or `EngineStartError` where it cannot be started.
    init(
        _ executable: String, _ arguments: [String], in folder: String, environment: [String: String] = [:],
        timeout: Duration? = nil, isShielded: Bool = false
    ) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: executable)
        process.arguments = arguments
        process.currentDirectoryURL = URL(fileURLWithPath: folder)
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.standardInput = FileHandle.nullDevice
        // Files, not pipes: nothing has to read them while it runs, and no grandchild keeps them open.
        let logs = [try TemporaryFile(), try TemporaryFile()]
        process.standardOutput = logs[0].handle
        process.standardError = logs[1].handle
        let ended = DispatchSemaphore(value: 0)
        process.terminationHandler = { _ in ended.signal() }
        do {
            try process.run()
        } catch {
            throw CommandError("\(executable): cannot be started in \(folder): \(error.localizedDescription)")
        }

        let deadline = timeout.map { ContinuousClock.now + $0 }
        var forced: End?
        while ended.wait(timeout: .now() + .milliseconds(50)) == .timedOut {
            if !isShielded, Interrupt.isRequested { forced = .interrupted }
            if let deadline, ContinuousClock.now > deadline { forced = forced ?? .timedOut }
            if forced != nil {
                Self.kill(process.processIdentifier)
                ended.wait()
                break
            }
        }
        let own: End = process.terminationReason == .exit
            ? .exit(process.terminationStatus) : .signal(process.terminationStatus)
        end = forced ?? own
        (output, errors) = (logs[0].end(Self.longestOutput), logs[1].end(Self.longestOutput))
    }

    /// A command as a shell takes it.
    static func shell(_ command: String, in folder: String, timeout: Duration?) throws -> ChildProcess {
        try ChildProcess("/bin/sh", ["-c", command], in: folder, timeout: timeout)
    }

    /// Ends it and all that it has started. A request to terminate would be in vain: this program ignores it, and so
    /// does whatever it starts.
    private static func kill(_ process: Int32) {
        let isLeader = getpgid(process) == process
        _ = Foundation.kill(isLeader ? -process : process, SIGKILL)
    }
}

extension ChildProcess {
    /// How it ended, in words, with the last thing that it said.
    var complaint: String {
        let words = (errors + "\n" + output).nonemptyLines.last ?? ""
        let how = switch end {
        case .exit(let status): "exit status \(status)"
        case .signal(let number): "ended by signal \(number)"
        case .timedOut: "took too long"
        case .interrupted: "interrupted"
        }
        return words.isEmpty ? how : "\(how): \(words)"
    }
}

extension String {
    var nonemptyLines: [String] {
        split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
    }
}
