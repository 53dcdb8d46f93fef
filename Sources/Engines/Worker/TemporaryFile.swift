import CSystem
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
        let inMemory = folder == nil ? csystem_memory_file() : -1
        if inMemory >= 0 {
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
        try replaceContents(with: bytes)
    }

    /// Where there were other bytes already, their memory is used again.
    /// - Throws: `EngineStartError` where there is no place for them.
    func replaceContents(with bytes: [UInt8]) throws {
        func check(_ isDone: Bool) throws {
            guard isDone || errno == EINTR else {
                throw EngineStartError("a temporary file cannot be written: \(String(cString: strerror(errno)))")
            }
        }
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { all in
                let rest = UnsafeRawBufferPointer(rebasing: all[sent...])
                return pwrite(handle.fileDescriptor, rest.baseAddress, rest.count, off_t(sent))
            }
            try check(count > 0)
            sent += max(0, count)
        }
        try check(ftruncate(handle.fileDescriptor, off_t(bytes.count)) == 0)
    }

    /// What is written from now on begins at the end, also where others shorten the file.
    func appends() { _ = fcntl(handle.fileDescriptor, F_SETFL, fcntl(handle.fileDescriptor, F_GETFL) | O_APPEND) }

    deinit {
        #if !os(Linux)
            unlink(path)
        #endif
    }

    /// In bytes.
    var size: Int {
        var status = stat()
        return fstat(handle.fileDescriptor, &status) == 0 ? Int(status.st_size) : 0
    }

    /// A file of more bytes than this is emptied: a process that talks all the time does not fill the disk.
    /// - Returns: whether it was.
    func shorten(_ longest: Int) -> Bool { size > longest && ftruncate(handle.fileDescriptor, 0) == 0 }

    /// The last bytes, at most so many, as text.
    public func end(_ longest: Int) -> String {
        let size = size
        let start = max(0, size - longest)
        var bytes = [UInt8](repeating: 0, count: size - start)
        let count = pread(handle.fileDescriptor, &bytes, bytes.count, off_t(start))
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    }
}
