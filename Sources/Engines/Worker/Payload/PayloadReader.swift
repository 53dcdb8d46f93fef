import Foundation

/// Reads a payload, one value after the other. Whoever wrote it may have lied: nothing is taken, and no memory for it,
/// before it is known to be there.
struct PayloadReader {
    private let bytes: [UInt8]
    private(set) var offset = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// - Throws: `ProtocolError`, as all below.
    mutating func read<Value: PayloadValue>(_: Value.Type = Value.self) throws -> Value { try Value(reading: &self) }

    /// What is left is too much.
    func end() throws {
        guard offset == bytes.count else { throw error("\(bytes.count - offset) bytes too many") }
    }

    mutating func integer() throws -> Int {
        let start = offset
        let range = try take(8)
        let integer = bytes.withUnsafeBytes {
            Int64(littleEndian: $0.loadUnaligned(fromByteOffset: range.lowerBound, as: Int64.self))
        }
        guard let integer = Int(exactly: integer) else { throw error("\(integer) is too large", at: start) }
        return integer
    }

    /// - Parameter range: what the integer may be.
    mutating func integer(in range: some RangeExpression<Int>) throws -> Int {
        let start = offset
        let integer = try integer()
        guard range.contains(integer) else { throw error("\(integer) is out of range", at: start) }
        return integer
    }

    mutating func flag() throws -> Bool {
        let byte = bytes[try take(1).lowerBound]
        guard byte < 2 else { throw error("\(byte) where 0 or 1 must be", at: offset - 1) }
        return byte == 1
    }

    /// Of elements each of which takes a byte or more.
    mutating func count() throws -> Int {
        let start = offset
        let count = try integer()
        guard (0...bytes.count - offset).contains(count) else {
            throw error("\(count) elements, where \(bytes.count - offset) bytes are left", at: start)
        }
        return count
    }

    mutating func readBytes() throws -> [UInt8] { Array(bytes[try take(count())]) }

    mutating func text() throws -> String {
        let range = try take(count())
        guard let text = String(bytes: bytes[range], encoding: .utf8) else {
            throw error("text that is not UTF-8", at: range.lowerBound)
        }
        return text
    }

    mutating func list<Element>(
        _ count: Int, _ read: (inout PayloadReader) throws -> Element
    ) throws -> [Element] {
        var elements: [Element] = []
        // Elements may be larger than what they are read from.
        elements.reserveCapacity(min(count, 1024))
        for _ in 0..<count { elements.append(try read(&self)) }
        return elements
    }

    mutating func numbers(_ count: Int) throws -> [Double] {
        let (size, overflow) = count.multipliedReportingOverflow(by: 8)
        let range = try take(overflow ? .max : size)
        return bytes.withUnsafeBytes { bytes in
            [Double](unsafeUninitializedCapacity: count) { numbers, initialized in
                for index in 0..<count {
                    let bits = bytes.loadUnaligned(fromByteOffset: range.lowerBound + 8 * index, as: UInt64.self)
                    numbers.initializeElement(at: index, to: Double(bitPattern: UInt64(littleEndian: bits)))
                }
                initialized = count
            }
        }
    }

    func error(_ what: String, at offset: Int? = nil) -> ProtocolError {
        ProtocolError("byte \(offset ?? self.offset) of a payload of \(bytes.count): \(what)")
    }

    private mutating func take(_ count: Int) throws -> Range<Int> {
        guard (0...bytes.count - offset).contains(count) else { throw error("\(count) bytes more must be there") }
        defer { offset += count }
        return offset ..< offset + count
    }
}
