import Foundation

/// A file that goes when nobody needs it any more: a model for another process, what another process writes, or what
/// need not be in memory.
///
/// On Linux it has no name, so that nothing stays behind even when this process is killed.
public final class TemporaryFile {
    public let handle: FileHandle
    /// By which other processes can open it, while this object lives.
    public let path: String

    /// - Parameter folder: whose disk it is on; nil: in memory where the system can, else among the temporary files.
    /// - Throws: `EngineStartError` where there is no place for it.
    public init(in folder: String? = nil) throws {
        let descriptor: Int32
        var name: String?
        if folder == nil, let inMemory = Self.inMemory() {
            descriptor = inMemory
        } else {
            let folder = folder ?? FileManager.default.temporaryDirectory.path
            var template = Array("\(folder)/gguf-fuzz-XXXXXX".utf8CString)
            descriptor = mkstemp(&template)
            guard descriptor >= 0 else {
                throw EngineStartError(
                    "\(folder): no temporary file can be made: \(String(cString: strerror(errno)))")
            }
            name = template.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } }
        }
        // What is written after it was shortened begins at its start.
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_APPEND)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        #if os(Linux)
            if let name { unlink(name) }
            path = "/proc/\(ProcessInfo.processInfo.processIdentifier)/fd/\(descriptor)"
        #else
            path = name ?? ""
        #endif
    }

    /// - Throws: `EngineStartError` where there is no place for it.
    public convenience init(bytes: [UInt8]) throws {
        try self.init()
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { all in
                let rest = UnsafeRawBufferPointer(rebasing: all[sent...])
                return write(handle.fileDescriptor, rest.baseAddress, rest.count)
            }
            guard count > 0 || errno == EINTR else {
                throw EngineStartError("a temporary file cannot be written: \(String(cString: strerror(errno)))")
            }
            sent += max(0, count)
        }
    }

    deinit {
        #if !os(Linux)
            unlink(path)
        #endif
    }

    /// The descriptor of a file in memory; nil where the system has none.
    private static func inMemory() -> Int32? {
        #if os(Linux)
            // Headers show this function to GNU programs only, which Swift's are not.
            typealias Create = @convention(c) (UnsafePointer<CChar>, UInt32) -> Int32
            guard let symbol = dlsym(nil, "memfd_create") else { return nil }
            let descriptor = unsafeBitCast(symbol, to: Create.self)("gguf-fuzz", 0)
            return descriptor < 0 ? nil : descriptor
        #else
            return nil
        #endif
    }

    /// A file of more bytes than this is emptied: a process that talks all the time does not fill the disk.
    func shorten(_ longest: Int) {
        var status = stat()
        if fstat(handle.fileDescriptor, &status) == 0, status.st_size > longest { ftruncate(handle.fileDescriptor, 0) }
    }

    /// The last bytes, at most so many, as text.
    public func end(_ longest: Int) -> String {
        let size = Int(max(0, lseek(handle.fileDescriptor, 0, SEEK_END)))
        let start = max(0, size - longest)
        var bytes = [UInt8](repeating: 0, count: size - start)
        let count = pread(handle.fileDescriptor, &bytes, bytes.count, off_t(start))
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    }
}
