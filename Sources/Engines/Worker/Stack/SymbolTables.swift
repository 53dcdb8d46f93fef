import Foundation

/// The tables of symbols that have been needed: each is read once, until its file is another one.
final class SymbolTables: @unchecked Sendable {
    static let shared = SymbolTables()

    #if os(Linux)
        private struct Identity: Hashable {
            var device: dev_t
            var number: ino_t
            var size: off_t
            var seconds: Int
            var nanoseconds: Int
        }
        private let lock = NSLock()
        private var tables: [Identity: SymbolTable?] = [:]

        /// - Parameters:
        ///   - offset: of a byte of the file.
        ///   - file: as the system names what it has mapped.
        /// - Returns: the symbol of the function that the byte is in; nil where there is none.
        func symbol(at offset: Int, of file: String) -> String? {
            guard let offset = UInt64(exactly: offset) else { return nil }
            // This very program can still be read where it has been removed or replaced.
            let own = "/proc/self/exe"
            let file = (try? FileManager.default.destinationOfSymbolicLink(atPath: own)) == file ? own : file
            var status = stat()
            guard stat(file, &status) == 0 else { return nil }
            let identity = Identity(
                device: status.st_dev, number: status.st_ino, size: status.st_size, seconds: status.st_mtim.tv_sec,
                nanoseconds: status.st_mtim.tv_nsec)
            return lock.withLock {
                if tables[identity] == nil {
                    // A worker's ever new files must not fill the memory.
                    if tables.count >= 64 { tables.removeAll() }
                    tables[identity] = .some(SymbolTable(path: file))
                }
                return tables[identity]??.function(at: offset)
            }
        }
    #else
        func symbol(at offset: Int, of file: String) -> String? { nil }
    #endif
}
