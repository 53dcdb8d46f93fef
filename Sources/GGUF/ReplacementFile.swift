#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// A file that takes the place of another when it is complete, and leaves nothing behind when not.
final class ReplacementFile {
    private let path: String
    private let temporaryPath: String
    private let descriptor: Int32
    private var isOpen = true
    private var isCommitted = false

    /// Creates the temporary file, beside the one to replace so that the move is within one file system.
    init(for path: String) throws {
        let target = try Self.target(of: path)
        let folder = target.lastIndex(of: "/").map { target[...$0] } ?? ""
        let temporaryPath = folder + ".gguf-" + String(UInt64.random(in: 0 ... .max), radix: 36)
        let descriptor = open(temporaryPath, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw Self.failure(path, "cannot create") }
        self.path = target
        self.temporaryPath = temporaryPath
        self.descriptor = descriptor
    }

    /// Where a path leads to. A device or a pipe is refused: to replace it is never what was meant.
    private static func target(of path: String) throws -> String {
        var status = stat()
        guard stat(path, &status) == 0 else { return path }
        guard status.st_mode & S_IFMT == S_IFREG else { throw GGUFError(file: path, reason: "not a regular file") }
        guard let resolved = realpath(path, nil) else { throw failure(path, "cannot resolve") }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    func append(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes
        while rest.count > 0 {
            let count = write(descriptor, rest.baseAddress, rest.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw Self.failure(path, "cannot write") }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    /// Moves the file to its place.
    func commit() throws {
        isOpen = false
        guard close(descriptor) == 0 else { throw Self.failure(path, "cannot write") }
        guard rename(temporaryPath, path) == 0 else { throw Self.failure(path, "cannot replace") }
        isCommitted = true
    }

    deinit {
        if isOpen { close(descriptor) }
        if !isCommitted { unlink(temporaryPath) }
    }

    private static func failure(_ path: String, _ action: String) -> GGUFError {
        GGUFError(file: path, reason: "\(action): \(String(cString: strerror(errno)))")
    }
}
