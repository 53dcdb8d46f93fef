import Foundation
import Testing

/// The built program, run as a stranger would.
struct Program {
    var status: Int32
    var output: String
    var errors: String

    /// Beside the tests' own executable, or on macOS beside their bundle.
    static let executable: URL = {
        let bundle = Bundle.allBundles.first { $0.bundlePath.hasSuffix(".xctest") }?.bundleURL
        let neighbour = bundle ?? Bundle.main.executableURL ?? URL(fileURLWithPath: CommandLine.arguments[0])
        return neighbour.deletingLastPathComponent().appendingPathComponent("gguf-fuzz")
    }()

    init(_ arguments: String..., in folder: String) throws { try self.init(arguments: arguments, in: folder) }

    /// Runs it to its end.
    /// - Parameter whileRunning: called once it has been started.
    init(arguments: [String], in folder: String, whileRunning: (Process) throws -> Void = { _ in }) throws {
        let tool = try Tool(Self.executable.path, arguments, in: folder, whileRunning: whileRunning)
        (status, output, errors) = (tool.status, tool.output, tool.errors)
    }

    /// Whether it refused its input: status 2, nothing on standard output, one line on standard error.
    var isRefusal: Bool {
        status == 2 && output.isEmpty && errors.hasPrefix("gguf-fuzz: ") && errors.hasSuffix("\n")
            && errors.count { $0 == "\n" } == 1
    }
}

/// A program that was run to its end.
struct Tool {
    /// Of a signal, the number below zero.
    var status: Int32
    var output: String
    var errors: String

    /// - Parameter whileRunning: called once it has been started.
    init(
        _ executable: String, _ arguments: [String], in folder: String,
        whileRunning: (Process) throws -> Void = { _ in }
    ) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: executable)
        process.arguments = arguments
        process.currentDirectoryURL = URL(fileURLWithPath: folder)
        // Files, not pipes: nothing has to read them while the program runs.
        let logs = FileManager.default.temporaryDirectory
        let files = try ["output", "errors"].map { name in
            let url = logs.appendingPathComponent("gguf-fuzz-\(name)-\(UUID().uuidString)")
            try Data().write(to: url)
            return (url, try FileHandle(forWritingTo: url))
        }
        defer { for file in files { try? FileManager.default.removeItem(at: file.0) } }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = files[0].1
        process.standardError = files[1].1
        try process.run()
        try whileRunning(process)
        process.waitUntilExit()
        status = process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus
        output = try String(contentsOf: files[0].0, encoding: .utf8)
        errors = try String(contentsOf: files[1].0, encoding: .utf8)
    }
}

/// Waits for something that happens soon, on a busy machine a little later.
func wait(_ condition: () -> Bool) {
    let deadline = Date(timeIntervalSinceNow: 600)
    while !condition(), Date() < deadline { Thread.sleep(forTimeInterval: 0.02) }
}

func withTemporaryFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("gguf-fuzz-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    return try body(folder.path)
}
