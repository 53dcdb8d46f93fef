import Engines
import Foundation

/// A file that is read from its start to its end.
enum FileBytes {
    /// The SHA-256 of files' contents, one after the other, in hexadecimal.
    /// - Throws: `CommandError`.
    static func sha256(of paths: [String]) throws -> String {
        var hash = SHA256()
        for path in paths { try forEachPiece(of: path) { hash.update($0) } }
        return hash.finalize()
    }

    /// - Throws: `CommandError`.
    static func forEachPiece(of path: String, _ body: (UnsafeRawBufferPointer) -> Void) throws {
        func failure() -> CommandError { CommandError("\(path): cannot be read: \(String(cString: strerror(errno)))") }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure() }
        defer { close(descriptor) }
        try withUnsafeTemporaryAllocation(byteCount: 1 << 22, alignment: 4096) { buffer in
            while true {
                let count = Foundation.read(descriptor, buffer.baseAddress, buffer.count)
                if count < 0 && errno == EINTR { continue }
                guard count >= 0 else { throw failure() }
                if count == 0 { return }
                body(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            }
        }
    }
}
