#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// The bytes of a file, mapped into memory for as long as this object lives.
///
/// Unchecked, because the compiler cannot see that nothing ever writes to the bytes. A file that
/// someone cuts short while it is mapped is beyond help: the system ends the process that reads it.
final class FileContents: @unchecked Sendable {
    let bytes: UnsafeRawBufferPointer
    /// Bytes at the beginning that are mapped no more.
    private var released = 0
    private let isMapped: Bool
    /// Whether all of the bytes may be read.
    var isWhole: Bool { released == 0 }

    init(mapping path: String) throws {
        func failure(_ call: String) -> GGUFError {
            GGUFError(file: path, reason: "\(call): \(String(cString: strerror(errno)))")
        }

        // A pipe without a writer would block here for ever.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw failure("cannot open") }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure("cannot stat") }
        guard status.st_mode & S_IFMT == S_IFREG else { throw GGUFError(file: path, reason: "not a regular file") }
        guard let count = Int(exactly: status.st_size) else { throw GGUFError(file: path, reason: "too large to map") }
        isMapped = true
        guard count > 0 else {
            bytes = UnsafeRawBufferPointer(start: nil, count: 0)
            return
        }
        let address = mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0)
        guard let address, address != MAP_FAILED else { throw failure("cannot map") }
        bytes = UnsafeRawBufferPointer(start: address, count: count)
    }

    /// A copy of bytes from memory, aligned as a mapping would be.
    init(copying source: [UInt8]) {
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: source.count, alignment: 4096)
        copy.copyBytes(from: source)
        bytes = UnsafeRawBufferPointer(copy)
        isMapped = false
    }

    /// Gives the pages back that lie wholly within the first bytes, which nobody may read any more. Only while there is
    /// one owner.
    func release(first count: Int) {
        guard isMapped, let page = Int(exactly: sysconf(Int32(_SC_PAGESIZE))), page > 0 else { return }
        let end = count / page * page
        guard end > released, let start = bytes.baseAddress else { return }
        munmap(UnsafeMutableRawPointer(mutating: start + released), end - released)
        released = end
    }

    deinit {
        if isMapped {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[released...])
            munmap(UnsafeMutableRawPointer(mutating: rest.baseAddress), rest.count)
        } else {
            UnsafeMutableRawBufferPointer(mutating: bytes).deallocate()
        }
    }
}
