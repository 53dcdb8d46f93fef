import Foundation

/// The lines of a log, one after the other, however long the log is.
final class LogLines {
    private let path: String
    private let file: FileHandle
    private var buffer = Data()
    private var isAtEnd = false
    /// Of the last line, from 1.
    private(set) var number = 0
    /// Bytes of whole lines so far.
    private(set) var length: UInt64 = 0
    private let decoder: JSONDecoder = {
        let decoder = JSONDecoder()
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        return decoder
    }()

    private static let chunk = 1 << 20
    /// Nothing that is written is as long.
    private static let longest = 256 << 20

    /// - Throws: `CorpusError` where the file cannot be read.
    init(_ path: String) throws {
        guard let file = FileHandle(forReadingAtPath: path) else {
            _ = try CorpusError.contents(of: path)
            throw CorpusError(path: path, reason: "cannot be read")
        }
        self.path = path
        self.file = file
    }

    /// Bytes of a last line that has no end; known when there is no more line.
    var tornBytes: Int { isAtEnd ? buffer.count : 0 }

    /// - Returns: the next line and its bytes with the end; nil: there is none, or it was not finished.
    /// - Throws: `CorpusError` that names the line where it is none of a run.
    func next() throws -> (line: LogLine, data: Data)? {
        guard let data = try nextData() else { return nil }
        number += 1
        do {
            let line = try decoder.decode(LogLine.self, from: data)
            length += UInt64(data.count)
            return (line, data)
        } catch let error as DecodingError {
            throw foreign(error.line)
        }
    }

    /// What is said of a line that cannot be what it is.
    func foreign(_ reason: String) -> CorpusError {
        CorpusError(path: path, reason: "line \(number): is no record of a run: \(reason)")
    }

    /// Bytes up to the end of the first line and with it; nil: it has none.
    private static func lengthOfLine(_ data: Data, from start: Int) -> Int? {
        data.withUnsafeBytes { bytes in
            guard start < bytes.count, let base = bytes.baseAddress,
                let end = memchr(base + start, Int32(UInt8(ascii: "\n")), bytes.count - start)
            else { return nil }
            return UnsafeRawPointer(end) - base + 1
        }
    }

    private func nextData() throws -> Data? {
        var searched = 0
        while true {
            if let count = Self.lengthOfLine(buffer, from: searched) {
                let line = Data(buffer.prefix(count))
                buffer = buffer.dropFirst(count)
                return line
            }
            searched = buffer.count
            guard !isAtEnd else { return nil }
            guard searched < Self.longest else {
                throw CorpusError(path: path, reason: "line \(number + 1): is no record of a run: has no end")
            }
            do {
                let more = try file.read(upToCount: Self.chunk) ?? Data()
                // What has been read leaves the memory.
                buffer = Data(buffer) + more
                isAtEnd = more.isEmpty
            } catch {
                throw CorpusError(path: path, reason: "cannot be read: \(CorpusError.reason(error))")
            }
        }
    }
}
