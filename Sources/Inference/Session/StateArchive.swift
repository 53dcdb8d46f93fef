import GGUF

/// What a session or one of its sequences has in its caches, as bytes.
///
/// Little-endian throughout; a string is its UTF-8 length (`u32`) and bytes:
/// ```
/// "GGFZSTAT"  u32 version 1  string architecture
/// u32 sequences   each: u32 number, i32 first and last position      recurrent state only
/// u32 cells       each: u32 number, i32 position, u32 set of sequences
/// u32 states      each: string name, u8 kind (0 cache, 1 recurrent), u64 elements a row, rows:
///                 one for each cell or sequence above, in that order
/// u32 encoder tokens   each: u32 set of sequences;   u64 width, rows
/// rows:           u8 width of an element (4 or 8), then IEEE floats of that width
/// ```
/// Elements take 8 bytes only where some would not survive 4.
struct StateArchive: Hashable {
    struct Sequence: Hashable {
        var number: Int
        var positions: ClosedRange<Int>
    }
    struct Cell: Hashable {
        var number: Int
        var position: Int32
        var sequences: SequenceSet
    }
    struct Memory: Hashable {
        var name: String
        var isRecurrent: Bool
        var rowCount: Int
        var elements: [Double]
    }
    struct Encoder: Hashable {
        var sequences: [SequenceSet]
        var width: Int
        var elements: [Double]
    }
    var architecture: String
    var sequences: [Sequence] = []
    var cells: [Cell] = []
    var memories: [Memory] = []
    var encoder: Encoder?

    static let magic = Array("GGFZSTAT".utf8)
    static let version: UInt32 = 1

    // MARK: Writing

    func encoded() -> [UInt8] {
        var bytes = Self.magic
        func put(_ value: some FixedWidthInteger) {
            withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
        }
        func put(_ text: String) {
            put(UInt32(text.utf8.count))
            bytes.append(contentsOf: text.utf8)
        }
        func put(_ elements: [Double]) {
            // A NaN survives as some NaN.
            if elements.allSatisfy({ Double(Float($0)) == $0 || $0.isNaN }) {
                put(UInt8(4))
                for element in elements { put(Float(element).bitPattern) }
            } else {
                put(UInt8(8))
                for element in elements { put(element.bitPattern) }
            }
        }
        put(Self.version)
        put(architecture)
        put(UInt32(sequences.count))
        for sequence in sequences {
            put(UInt32(sequence.number))
            put(Int32(sequence.positions.lowerBound))
            put(Int32(sequence.positions.upperBound))
        }
        put(UInt32(cells.count))
        for cell in cells {
            put(UInt32(cell.number))
            put(cell.position)
            put(cell.sequences.bits)
        }
        put(UInt32(memories.count))
        for memory in memories {
            put(memory.name)
            put(UInt8(memory.isRecurrent ? 1 : 0))
            put(UInt64(memory.rowCount))
            put(memory.elements)
        }
        put(UInt32(encoder?.sequences.count ?? 0))
        for set in encoder?.sequences ?? [] { put(set.bits) }
        put(UInt64(encoder?.width ?? 0))
        put(encoder?.elements ?? [])
        return bytes
    }

    // MARK: Reading

    /// - Throws: `StateError` with the offset at which the bytes stop making sense. Nothing is believed
    ///   that the bytes' own number does not allow, so no allocation is larger than they are, times two.
    init(_ bytes: [UInt8]) throws {
        var reader = Reader(bytes: bytes)
        guard try reader.bytes(8) == Self.magic[...] else { throw reader.error("no saved state", at: 0) }
        let version: UInt32 = try reader.integer()
        guard version == Self.version else {
            throw reader.error("version \(version); this program reads \(Self.version)", at: 8)
        }
        architecture = try reader.text()

        sequences = try reader.list(of: 12) { reader in
            let number = Int(try reader.integer() as UInt32)
            let (first, last) = (try reader.integer() as Int32, try reader.integer() as Int32)
            guard number < SequenceSet.capacity, first >= 0, first <= last else {
                throw reader.error("sequence \(number) with positions \(first) to \(last)")
            }
            return Sequence(number: number, positions: Int(first) ... Int(last))
        }
        cells = try reader.list(of: 12) { reader in
            let cell = Cell(
                number: Int(try reader.integer() as UInt32), position: try reader.integer(),
                sequences: SequenceSet(bits: try reader.integer()))
            guard cell.position >= 0, !cell.sequences.isEmpty else {
                throw reader.error("cell \(cell.number) with position \(cell.position) and sequences \(cell.sequences)")
            }
            return cell
        }
        let (sequenceCount, cellCount) = (sequences.count, cells.count)
        memories = try reader.list(of: 14) { reader in
            let name = try reader.text()
            let kind: UInt8 = try reader.integer()
            guard kind <= 1 else { throw reader.error("state \(quoted(name)) of kind \(kind)") }
            let rowCount = try reader.count()
            let elements = try reader.elements(rows: kind == 1 ? sequenceCount : cellCount, of: rowCount)
            return Memory(name: name, isRecurrent: kind == 1, rowCount: rowCount, elements: elements)
        }
        let sets = try reader.list(of: 4) { SequenceSet(bits: try $0.integer()) }
        let width = try reader.count()
        let elements = try reader.elements(rows: sets.count, of: width)
        encoder = sets.isEmpty ? nil : Encoder(sequences: sets, width: width, elements: elements)
        guard reader.offset == bytes.count else { throw reader.error("\(bytes.count - reader.offset) bytes too many") }
    }

    init(architecture: String) { self.architecture = architecture }

    private struct Reader {
        let bytes: [UInt8]
        var offset = 0

        init(bytes: [UInt8]) { self.bytes = bytes }

        func error(_ reason: String, at place: Int? = nil) -> StateError {
            StateError(offset: place ?? offset, reason: reason)
        }

        mutating func bytes(_ count: Int) throws -> ArraySlice<UInt8> {
            guard count >= 0, count <= bytes.count - offset else {
                throw error("ends where \(count) more bytes are needed")
            }
            defer { offset += count }
            return bytes[offset ..< offset + count]
        }
        mutating func integer<Value: FixedWidthInteger>() throws -> Value {
            let slice = try bytes(MemoryLayout<Value>.size)
            return slice.withUnsafeBytes { Value(littleEndian: $0.loadUnaligned(as: Value.self)) }
        }
        /// A 64-bit number that is no greater than the number of bytes.
        mutating func count() throws -> Int {
            let value: UInt64 = try integer()
            guard value <= UInt64(bytes.count) else { throw error("\(value) elements a row") }
            return Int(value)
        }
        mutating func text() throws -> String {
            let length: UInt32 = try integer()
            guard let text = String(validating: try bytes(Int(length)), as: UTF8.self) else {
                throw error("a name that is no UTF-8")
            }
            return text
        }
        mutating func list<Element>(of size: Int, _ read: (inout Reader) throws -> Element) throws -> [Element] {
            let count: UInt32 = try integer()
            guard Int(count) <= (bytes.count - offset) / size else {
                throw error("\(count) entries do not fit in the rest")
            }
            return try (0..<count).map { _ in try read(&self) }
        }
        mutating func elements(rows: Int, of rowCount: Int) throws -> [Double] {
            let width: UInt8 = try integer()
            guard width == 4 || width == 8 else { throw error("elements of \(width) bytes") }
            let (count, overflow) = rows.multipliedReportingOverflow(by: rowCount)
            guard !overflow, count <= (bytes.count - offset) / Int(width) else {
                throw error("\(rows) rows of \(rowCount) do not fit in the rest")
            }
            let slice = try bytes(count * Int(width))
            return slice.withUnsafeBytes { raw in
                width == 4
                    ? (0..<count).map {
                        let bits = raw.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self)
                        return Double(Float(bitPattern: UInt32(littleEndian: bits)))
                    }
                    : (0..<count).map {
                        let bits = raw.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self)
                        return Double(bitPattern: UInt64(littleEndian: bits))
                    }
            }
        }
    }
}

/// Saved state that cannot be restored: where it stops making sense or fitting, and why.
public struct StateError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Offset in the bytes, nil where they make sense but do not fit the session.
    public var offset: Int?
    public var reason: String
    public var description: String { "saved state\(offset.map { ", offset \($0)" } ?? ""): \(reason)" }
}
