import Engines
import Foundation

/// The rows that a model gives, one after the other in a file without a name: those of many tokens need not be in
/// memory.
final class RowFile {
    private(set) var kind = Results.Kind.logits
    /// The token that each row is of; of a model that pools, 0.
    private(set) var keys: [Int] = []
    /// Elements that are kept of each row.
    private(set) var width = 0
    /// Elements that the model gives in each row.
    private(set) var modelWidth = 0
    /// The tokens that the elements are of, row by row, the greatest logit first; nil: of the whole vocabulary.
    private(set) var tops: [Int]?
    /// The key of the first row that holds a NaN.
    private(set) var firstWithoutNumber: Int?

    private let top: Int?
    private let path: String
    private let file: TemporaryFile
    private var failure: CommandError?

    /// - Parameters:
    ///   - top: how many of a row's elements are kept, the greatest; nil: all.
    ///   - path: beside which the rows are kept, and which errors name.
    /// - Throws: `CommandError`.
    init(top: Int?, beside path: String) throws {
        self.top = top
        self.path = path
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        file = try CommandError.naming(path) { try TemporaryFile(in: folder) }
    }

    /// Takes rows; an error is thrown by `finish`.
    /// - Parameter start: what is added to their keys.
    func append(_ result: StepResult, start: Int) {
        guard failure == nil, let rows = result.rows, !rows.keys.isEmpty else { return }
        let kind = result.logits == nil ? Results.Kind.embeddings : .logits
        guard keys.isEmpty || kind == self.kind && rows.width == modelWidth else {
            failure = CommandError("the engine gives \(kind.rawValue) of \(rows.width) after others of \(modelWidth)")
            return
        }
        guard rows.width > 0, rows.elements.count == rows.keys.count * rows.width else {
            failure = CommandError("the engine gives \(rows.elements.count) elements in rows of \(rows.width)")
            return
        }
        (self.kind, modelWidth) = (kind, rows.width)
        for (index, key) in rows.keys.enumerated() { append(rows.row(at: index), key: key + start) }
    }

    private func append(_ row: ArraySlice<Double>, key: Int) {
        keys.append(key)
        if firstWithoutNumber == nil, row.contains(where: { $0.isNaN }) { firstWithoutNumber = key }
        var elements = row.map { Float($0).bitPattern.littleEndian }
        if let top, top < row.count {
            let greatest = GreatestElements.indices(of: row, count: top)
            tops = (tops ?? []) + greatest
            elements = greatest.map { elements[$0] }
        }
        width = elements.count
        do {
            try file.handle.write(contentsOf: elements.withUnsafeBytes { Data($0) })
        } catch {
            failure = CommandError("\(path): cannot be written: \(error.localizedDescription)")
        }
    }

    /// - Throws: `CommandError` where rows could not be taken, or there are none.
    func finish() throws {
        if let failure { throw failure }
        guard !keys.isEmpty else { throw CommandError("the model gives neither logits nor embeddings") }
    }

    /// All rows, as little-endian float32.
    func forEachPiece(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        try withUnsafeTemporaryAllocation(byteCount: 1 << 20, alignment: 64) { buffer in
            var offset = 0
            while offset < 4 * width * keys.count {
                let count = pread(file.handle.fileDescriptor, buffer.baseAddress, buffer.count, off_t(offset))
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else { throw CommandError("\(path): its rows cannot be read back") }
                try body(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
                offset += count
            }
        }
    }
}
