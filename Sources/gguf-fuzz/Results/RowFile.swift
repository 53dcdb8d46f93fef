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
    /// The greatest elements of rows of which more columns are to come, by key.
    private var unfinished: [Int: GreatestElements] = [:]

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
        let wholeWidth = rows.wholeWidth ?? rows.width
        guard keys.isEmpty || kind == self.kind && wholeWidth == modelWidth else {
            failure = CommandError(
                "the engine gives \(kind.rawValue) of \(wholeWidth) after others of \(modelWidth)")
            return
        }
        guard rows.width > 0, rows.elements.count == rows.keys.count * rows.width else {
            failure = CommandError("the engine gives \(rows.elements.count) elements in rows of \(rows.width)")
            return
        }
        (self.kind, modelWidth) = (kind, wholeWidth)
        for (index, key) in rows.keys.enumerated() {
            append(rows.row(at: index), key: key + start, firstColumn: rows.firstColumn)
        }
    }

    private func append(_ elements: ArraySlice<Double>, key: Int, firstColumn: Int) {
        if firstColumn == 0 { keys.append(key) }
        guard failure == nil, let row = keys.lastIndex(of: key) else { return }
        if elements.contains(where: \.isNaN) { firstWithoutNumber = min(firstWithoutNumber ?? key, key) }
        guard let top, top < modelWidth else {
            width = modelWidth
            return write(elements, at: row * width + firstColumn)
        }
        width = top
        var greatest = unfinished.removeValue(forKey: key) ?? GreatestElements(count: top)
        greatest.add(elements, from: firstColumn)
        guard firstColumn + elements.count == modelWidth else {
            unfinished[key] = greatest
            return
        }
        tops = (tops ?? []) + greatest.best.map(\.index)
        write(greatest.best.map(\.element)[...], at: row * width)
    }

    /// - Parameter place: of the first one among all elements.
    private func write(_ elements: ArraySlice<Double>, at place: Int) {
        let encoded = elements.map { Float($0).bitPattern.littleEndian }
        guard encoded.withUnsafeBytes({ file.write($0, at: 4 * place) }) else {
            failure = CommandError("\(path): cannot be written: \(String(cString: strerror(errno)))")
            return
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
