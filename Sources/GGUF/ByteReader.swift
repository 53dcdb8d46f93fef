/// Reads numbers, strings and arrays from bytes that nobody vouches for.
///
/// Every read says what it is for, so that an error can say what is missing where.
struct ByteReader {
    let bytes: UnsafeRawBufferPointer
    let file: String
    var order: ByteOrder
    private(set) var offset = 0

    init(_ bytes: UnsafeRawBufferPointer, file: String, order: ByteOrder) {
        self.bytes = bytes
        self.file = file
        self.order = order
    }

    var remaining: Int { bytes.count - offset }

    /// An error at a byte of the file; at the next one to read where none is given.
    func failure(at offset: Int? = nil, _ reason: String) -> GGUFError {
        GGUFError(file: file, offset: offset ?? self.offset, reason: reason)
    }

    /// The next bytes, in place.
    mutating func take(_ count: Int, for purpose: @autoclosure () -> String) throws -> UnsafeRawBufferPointer {
        guard count <= remaining else {
            throw failure("\(purpose()) needs \(count) bytes, but the file ends after \(remaining)")
        }
        defer { offset += count }
        return UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count])
    }

    mutating func integer<T: FixedWidthInteger>(
        _: T.Type = T.self, for purpose: @autoclosure () -> String
    ) throws -> T {
        let value = try take(MemoryLayout<T>.size, for: purpose()).loadUnaligned(as: T.self)
        return order == .host ? value : value.byteSwapped
    }

    mutating func bool(for purpose: @autoclosure () -> String) throws -> Bool {
        let value = try integer(UInt8.self, for: purpose())
        guard value <= 1 else { throw failure(at: offset - 1, "\(purpose()) is \(value), but a bool is 0 or 1") }
        return value == 1
    }

    mutating func string(for purpose: @autoclosure () -> String) throws -> String {
        let start = offset
        let length = try integer(UInt64.self, for: "the length of " + purpose())
        guard let count = Int(exactly: length), count <= remaining else {
            throw failure(at: start, "\(purpose()) is \(length) bytes long, but the file ends after \(remaining)")
        }
        let text = try take(count, for: purpose())
        guard let string = String(validating: text, as: UTF8.self) else {
            throw failure(at: start, "\(purpose()) is not valid UTF-8")
        }
        return string
    }

    /// A number of things that follow. It is refused where the rest of the file cannot hold so many,
    /// so that nobody reserves memory, or loops, for more than the file warrants.
    mutating func count(of minimumByteCount: Int, for purpose: @autoclosure () -> String) throws -> Int {
        let start = offset
        let value = try integer(UInt64.self, for: purpose())
        guard let count = Int(exactly: value), count <= remaining / minimumByteCount else {
            throw failure(
                at: start,
                "\(purpose()) is \(value), at \(minimumByteCount) bytes or more each, "
                    + "but the file ends after \(remaining)")
        }
        return count
    }

    mutating func integers<T: FixedWidthInteger>(
        _ count: Int, _: T.Type = T.self, for purpose: @autoclosure () -> String
    ) throws -> [T] {
        let (byteCount, overflow) = count.multipliedReportingOverflow(by: MemoryLayout<T>.size)
        guard !overflow else { throw failure("the size of \(purpose()) overflows") }
        let source = try take(byteCount, for: purpose())
        let swapped = order != .host
        return [T](unsafeUninitializedCapacity: count) { target, initialized in
            UnsafeMutableRawBufferPointer(target).copyMemory(from: source)
            if swapped {
                for index in 0..<count { target[index] = target[index].byteSwapped }
            }
            initialized = count
        }
    }
}
