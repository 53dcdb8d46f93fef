/// Lays out a payload, one value after the other.
struct PayloadWriter {
    private(set) var bytes: [UInt8] = []

    mutating func write<each Value: PayloadValue>(_ values: repeat each Value) {
        repeat (each values).write(to: &self)
    }

    mutating func append(byte: UInt8) { bytes.append(byte) }

    mutating func append(integer: Int64) {
        withUnsafeBytes(of: integer.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func append(bytes other: [UInt8]) {
        append(integer: Int64(other.count))
        bytes += other
    }

    mutating func append(text: String) {
        var text = text
        text.withUTF8 {
            append(integer: Int64($0.count))
            bytes.append(contentsOf: $0)
        }
    }

    /// Numbers whose count is known otherwise.
    mutating func append(numbers: [Double]) {
        numbers.map { $0.bitPattern.littleEndian }.withUnsafeBytes { bytes.append(contentsOf: $0) }
    }
}
