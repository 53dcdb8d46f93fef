import Foundation

/// A file without a name, so that nothing stays behind: what another process writes, to be read when it has ended, or
/// what need not be in memory.
public final class UnnamedFile {
    public let handle: FileHandle

    /// - Parameter folder: whose disk it is on; nil: the one for temporary files.
    /// - Throws: `EngineStartError` where there is no place for it.
    public init(in folder: String? = nil) throws {
        let folder = folder ?? FileManager.default.temporaryDirectory.path
        var template = Array("\(folder)/gguf-fuzz-XXXXXX".utf8CString)
        let descriptor = mkstemp(&template)
        guard descriptor >= 0 else {
            throw EngineStartError("\(folder): no temporary file can be made: \(String(cString: strerror(errno)))")
        }
        unlink(template)
        // What is written after it was shortened begins at its start.
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_APPEND)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
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
