import CSystem
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// A file that takes the place of another when it is complete, and leaves nothing behind when not.
///
/// Where the file system can, it has no name until then, so that nothing stays even of a process that is killed.
/// Elsewhere it is hidden beside the one to replace, and locked: a signal that can be caught takes it along, and what
/// nobody holds a lock on any more is removed by whoever writes to that folder next.
public final class ReplacementFile {
    private let path: String
    private let folder: String
    /// Its name until it is complete; nil: it has none.
    private var temporaryPath: String? {
        didSet {
            csystem_keep_at_end(removal)
            removal = temporaryPath.map { csystem_remove_at_end($0) } ?? -1
        }
    }
    /// What takes it along when the process ends.
    private var removal: Int32 = -1
    private let descriptor: Int32
    private var isOpen = true

    private static let prefix = ".gguf-fuzz-"

    /// Writes a file as a whole or not at all, also where the machine goes down; a device or a pipe is just written to.
    /// - Throws: `GGUFError` that names the file.
    public static func save(_ bytes: some Sequence<UInt8>, to path: String) throws {
        let bytes = Array(bytes)
        var status = stat()
        if stat(path, &status) == 0, ![S_IFREG, S_IFDIR].contains(status.st_mode & S_IFMT) {
            let descriptor = open(path, O_WRONLY | O_CLOEXEC)
            guard descriptor >= 0 else { throw failure(path) }
            defer { close(descriptor) }
            return try bytes.withUnsafeBytes { try append($0, to: descriptor, path) }
        }
        let file = try ReplacementFile(for: path)
        try bytes.withUnsafeBytes(file.append)
        guard fsync(file.descriptor) == 0 else { throw failure(path) }
        try file.commit()
    }

    /// Creates the file on the file system of the one to replace.
    init(for path: String) throws {
        let target = try Self.target(of: path)
        folder = target.lastIndex(of: "/").map { String(target[...$0]) } ?? "./"
        self.path = target
        Self.removeAbandoned(in: folder)
        #if os(Linux)
            let unnamed: Int32 = 0o20000000 | O_DIRECTORY  // O_TMPFILE
            let descriptor = open(folder, O_WRONLY | unnamed | O_CLOEXEC, 0o666)
            if descriptor >= 0 {
                // Before it has a name.
                _ = flock(descriptor, LOCK_EX | LOCK_NB)
                self.descriptor = descriptor
                return
            }
        #endif
        let temporaryPath = Self.name(in: folder)
        let removal = csystem_remove_at_end(temporaryPath)
        self.descriptor = open(temporaryPath, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
        guard self.descriptor >= 0 else {
            let failure = Self.failure(path)
            csystem_keep_at_end(removal)
            throw failure
        }
        (self.temporaryPath, self.removal) = (temporaryPath, removal)
        // Somebody may have taken it for one that is abandoned. Where a file system has no locks, there is none.
        guard flock(self.descriptor, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK else { throw Self.failure(path) }
    }

    private static let seen = Mutex<Set<String>>([])

    private static func name(in folder: String) -> String {
        folder + prefix + String(UInt64.random(in: 0 ... .max), radix: 36)
    }

    /// Removes what processes left that were killed, once for each folder: there may be many files in it.
    private static func removeAbandoned(in folder: String) {
        guard seen.withLock({ $0.insert(folder).inserted }), let entries = opendir(folder) else { return }
        defer { closedir(entries) }
        while let entry = readdir(entries) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard name.hasPrefix(prefix) else { continue }
            let descriptor = open(folder + name, O_WRONLY | O_CLOEXEC)
            guard descriptor >= 0 else { continue }
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { unlink(folder + name) }
            close(descriptor)
        }
    }

    /// Where a path leads to. A device or a pipe is refused: to replace it is never what was meant.
    private static func target(of path: String) throws -> String {
        var status = stat()
        guard stat(path, &status) == 0 else { return path }
        guard status.st_mode & S_IFMT == S_IFREG else { throw GGUFError(file: path, reason: "not a regular file") }
        guard let resolved = realpath(path, nil) else { throw failure(path) }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    func append(_ bytes: UnsafeRawBufferPointer) throws { try Self.append(bytes, to: descriptor, path) }

    private static func append(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32, _ path: String) throws {
        var rest = bytes
        while rest.count > 0 {
            let count = write(descriptor, rest.baseAddress, rest.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw failure(path) }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    /// Moves the file to its place.
    func commit() throws {
        #if os(Linux)
            if temporaryPath == nil {
                let temporaryPath = Self.name(in: folder)
                let here = AT_FDCWD
                self.temporaryPath = temporaryPath
                guard linkat(here, "/proc/self/fd/\(descriptor)", here, temporaryPath, AT_SYMLINK_FOLLOW) == 0 else {
                    throw Self.failure(path)
                }
            }
        #endif
        guard let temporaryPath else { return }
        isOpen = false
        guard close(descriptor) == 0 else { throw Self.failure(path) }
        guard rename(temporaryPath, path) == 0 else { throw Self.failure(path) }
        self.temporaryPath = nil
    }

    deinit {
        if isOpen { close(descriptor) }
        if let temporaryPath { unlink(temporaryPath) }
        csystem_keep_at_end(removal)
    }

    private static func failure(_ path: String) -> GGUFError {
        GGUFError(file: path, reason: "cannot be written: \(String(cString: strerror(errno)))")
    }
}
