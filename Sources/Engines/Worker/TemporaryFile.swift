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
    private let isInMemory: Bool
    /// Models are written by the hundred each second, and memory that comes anew from the system is half of what that
    /// takes: a file that is not needed any more serves the next one.
    private static let spares = Spares()

    /// - Parameter folder: whose disk it is on; nil: in memory where the system can, else among the temporary files.
    /// - Throws: `EngineStartError` where there is no place for it.
    public convenience init(in folder: String? = nil) throws {
        try self.init(in: folder, spare: nil)
    }

    private init(in folder: String?, spare: Int32?) throws {
        let descriptor: Int32
        var name: String?
        let inMemory = spare ?? (folder == nil ? csystem_memory_file() : -1)
        isInMemory = inMemory >= 0
        if isInMemory {
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
        handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: false)
        #if os(Linux)
            if let name { unlink(name) }
            path = "/proc/\(ProcessInfo.processInfo.processIdentifier)/fd/\(descriptor)"
        #else
            path = name ?? ""
        #endif
    }

    /// - Throws: `EngineStartError` where there is no place for it.
    public convenience init(bytes: [UInt8]) throws {
        try self.init(in: nil, spare: Self.spares.take())
        guard bytes.withUnsafeBytes({ write($0, at: 0) }),
            ftruncate(handle.fileDescriptor, off_t(bytes.count)) == 0
        else {
            throw EngineStartError("a temporary file cannot be written: \(String(cString: strerror(errno)))")
        }
    }

    deinit {
        #if !os(Linux)
            unlink(path)
        #endif
        if !isInMemory || !Self.spares.give(handle.fileDescriptor, size: size) { close(handle.fileDescriptor) }
    }

    /// What the file holds.
    /// - Parameter limit: the most that is read, since others write to it.
    /// - Returns: nil where there is more, or it cannot be read.
    public func contents(limit: Int) -> [UInt8]? {
        let size = size
        guard size <= limit else { return nil }
        let bytes = read(size, at: 0)
        return bytes.count == size ? bytes : nil
    }

    /// - Parameters:
    ///   - bytes: all of them, in however many calls of the system.
    ///   - offset: of the first byte.
    /// - Returns: false, with `errno`, where there is no place for all of them.
    public func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> Bool {
        var done = 0
        while done < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
            let count = pwrite(handle.fileDescriptor, rest.baseAddress, rest.count, off_t(offset + done))
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return false }
            done += count
        }
        return true
    }

    /// - Returns: fewer bytes where there are no more.
    private func read(_ count: Int, at offset: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, done in
            while done < count {
                let rest = UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[done..<count])
                let read = pread(handle.fileDescriptor, rest.baseAddress, rest.count, off_t(offset + done))
                if read < 0 && errno == EINTR { continue }
                guard read > 0 else { return }
                done += read
            }
        }
    }

    /// What is written from now on begins at the end, also where others shorten the file.
    func appends() { _ = fcntl(handle.fileDescriptor, F_SETFL, fcntl(handle.fileDescriptor, F_GETFL) | O_APPEND) }

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
        return String(decoding: read(size - start, at: start), as: UTF8.self)
    }
}

/// Descriptors of files in memory that nobody needs, with what they held: few, and no large ones.
private final class Spares: @unchecked Sendable {
    private let lock = NSLock()
    private var descriptors: [Int32] = []

    func take() -> Int32? { lock.withLock { descriptors.popLast() } }

    func give(_ descriptor: Int32, size: Int) -> Bool {
        lock.withLock {
            let isAppended = fcntl(descriptor, F_GETFL) & O_APPEND != 0
            guard descriptors.count < 8, size <= 32 << 20, !isAppended else { return false }
            descriptors.append(descriptor)
            return true
        }
    }
}
