import Foundation

/// A tensor as a file lists it.
public struct TensorDescription: Hashable, Sendable {
    public var name: String
    /// In the format's order: the contiguous dimension first.
    public var dimensions: [Int]
    public var type: TensorType
    /// Where its data begins, from the start of the data section.
    public var offset: Int
    public var byteCount: Int

    public init(name: String, dimensions: [Int], type: TensorType, offset: Int, byteCount: Int) {
        self.name = name
        self.dimensions = dimensions
        self.type = type
        self.offset = offset
        self.byteCount = byteCount
    }
}

/// A GGUF file: metadata and tensor list are read and checked, tensor data stays where it lies.
///
/// Versions 2 and 3, of either byte order. Whatever the bytes are, opening them ends in a file or in a
/// `GGUFError`; it allocates no more than the file's own size warrants.
public final class GGUFFile: Sendable {
    public static let magic: [UInt8] = Array("GGUF".utf8)

    public let path: String
    public let version: UInt32
    public let byteOrder: ByteOrder
    /// Of tensor data, in bytes.
    public let alignment: Int
    public let metadata: Metadata
    public let tensors: [TensorDescription]
    /// Where the data section begins.
    public let dataOffset: Int
    private let indices: [String: Int]
    private let mapping: Mapping

    /// Maps a file into memory.
    public convenience init(path: String) throws {
        try self.init(mapping: Mapping(path: path), name: path)
    }

    /// Reads a file that is in memory already.
    /// - Parameter name: what errors call it.
    public convenience init(bytes: [UInt8], name: String = "memory") throws {
        try self.init(mapping: Mapping(bytes: bytes), name: name)
    }

    private init(mapping: Mapping, name: String) throws {
        var reader = Reader(bytes: mapping.bytes, file: name)
        guard try reader.take(4).elementsEqual(Self.magic) else {
            throw GGUFError(file: name, offset: 0, reason: "is no GGUF file: it does not begin with \"GGUF\"")
        }
        let little: UInt32 = try reader.number()
        reader.swaps = little & 0xFFFF == 0 && little != 0
        let version = reader.swaps ? little.byteSwapped : little
        guard version == 2 || version == 3 else {
            throw GGUFError(file: name, offset: 4, reason: "version \(version) is not supported; 2 and 3 are")
        }
        let tensorCount = try reader.count("tensors", atLeast: 24)
        let keyCount = try reader.count("metadata keys", atLeast: 13)

        var metadata = Metadata()
        for _ in 0..<keyCount {
            let start = reader.offset
            let key = try reader.string("a key")
            guard metadata[key] == nil else {
                throw GGUFError(file: name, offset: start, reason: "key \"\(key)\" is there twice")
            }
            metadata[key] = try reader.value(of: key)
        }

        var alignment = 32
        if let value = metadata["general.alignment"] {
            guard let integer = value.integer, integer > 0, integer & (integer - 1) == 0, integer <= 1 << 30 else {
                throw GGUFError(file: name, reason: "general.alignment: must be a power of two, not \(value.summary)")
            }
            alignment = integer
        }

        var tensors: [TensorDescription] = []
        var indices: [String: Int] = [:]
        for _ in 0..<tensorCount {
            let start = reader.offset
            let tensor = try reader.tensor()
            guard indices.updateValue(tensors.count, forKey: tensor.name) == nil else {
                throw GGUFError(file: name, offset: start, reason: "tensor \"\(tensor.name)\" is there twice")
            }
            guard tensor.offset % alignment == 0 else {
                throw GGUFError(
                    file: name, offset: start,
                    reason: "tensor \"\(tensor.name)\": offset \(tensor.offset) is not aligned to \(alignment)")
            }
            tensors.append(tensor)
        }
        let dataOffset = (reader.offset + alignment - 1) / alignment * alignment
        try Self.checkExtents(of: tensors, available: mapping.bytes.count - dataOffset, name)

        path = name
        self.version = version
        byteOrder = reader.swaps ? .big : .little
        self.alignment = alignment
        self.metadata = metadata
        self.tensors = tensors
        self.indices = indices
        self.dataOffset = dataOffset
        self.mapping = mapping
    }

    private static func checkExtents(of tensors: [TensorDescription], available: Int, _ name: String) throws {
        var end = 0
        var previous = ""
        for tensor in tensors.sorted(by: { $0.offset < $1.offset }) where tensor.byteCount > 0 {
            guard tensor.offset >= end else {
                throw GGUFError(file: name, reason: "tensors \"\(previous)\" and \"\(tensor.name)\" overlap")
            }
            let (sum, overflow) = tensor.offset.addingReportingOverflow(tensor.byteCount)
            guard !overflow, sum <= available else {
                throw GGUFError(
                    file: name,
                    reason: "tensor \"\(tensor.name)\": its \(tensor.byteCount) bytes at \(tensor.offset) of the data section end beyond the file")
            }
            end = sum
            previous = tensor.name
        }
    }

    public func tensor(named name: String) -> TensorDescription? { indices[name].map { tensors[$0] } }

    /// The bytes of a tensor of this file, valid while `self` lives.
    public func bytes(of tensor: TensorDescription) -> UnsafeRawBufferPointer {
        let start = dataOffset + tensor.offset
        return UnsafeRawBufferPointer(rebasing: mapping.bytes[start..<start + tensor.byteCount])
    }

    public func withBytes<Result>(
        of tensor: TensorDescription, _ body: (UnsafeRawBufferPointer) throws -> Result
    ) rethrows -> Result {
        try withExtendedLifetime(self) { try body(bytes(of: tensor)) }
    }
}

/// Read-only memory that holds a file.
private final class Mapping: @unchecked Sendable {
    let bytes: UnsafeRawBufferPointer
    private let isMapped: Bool

    init(path: String) throws {
        func failure(_ what: String) -> GGUFError {
            GGUFError(file: path, reason: "\(what): \(String(cString: strerror(errno)))")
        }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("cannot be opened") }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure("cannot be examined") }
        guard status.st_mode & S_IFMT == S_IFREG else { throw GGUFError(file: path, reason: "is no regular file") }
        let size = Int(status.st_size)
        isMapped = size > 0
        guard size > 0 else {
            bytes = UnsafeRawBufferPointer(start: nil, count: 0)
            return
        }
        guard let memory = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), memory != MAP_FAILED else {
            throw failure("cannot be mapped")
        }
        bytes = UnsafeRawBufferPointer(start: memory, count: size)
    }

    init(bytes: [UInt8]) {
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 64)
        memory.copyBytes(from: bytes)
        self.bytes = UnsafeRawBufferPointer(memory)
        isMapped = false
    }

    deinit {
        if isMapped {
            munmap(UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count)
        } else {
            bytes.deallocate()
        }
    }
}

/// Reads numbers and strings one after the other; never beyond the end.
private struct Reader {
    let bytes: UnsafeRawBufferPointer
    let file: String
    var offset = 0
    var swaps = false

    static let nestingLimit = 8

    init(bytes: UnsafeRawBufferPointer, file: String) {
        self.bytes = bytes
        self.file = file
    }

    var remaining: Int { bytes.count - offset }

    func failure(_ reason: String, at offset: Int? = nil) -> GGUFError {
        GGUFError(file: file, offset: offset ?? self.offset, reason: reason)
    }

    mutating func take(_ count: Int) throws -> UnsafeRawBufferPointer.SubSequence {
        guard count <= remaining else {
            throw failure("\(count) bytes are needed, but the file ends after \(remaining)")
        }
        defer { offset += count }
        return bytes[offset..<offset + count]
    }

    mutating func number<Number: FixedWidthInteger>() throws -> Number {
        let size = MemoryLayout<Number>.size
        let taken = try take(size)
        let word = bytes.loadUnaligned(fromByteOffset: taken.startIndex, as: Number.self)
        return swaps ? Number(bigEndian: word) : Number(littleEndian: word)
    }

    /// A count of things that take at least `size` bytes each; more than the file can hold is an error.
    mutating func count(_ what: String, atLeast size: Int) throws -> Int {
        let start = offset
        let value: UInt64 = try number()
        guard value <= UInt64(remaining / size) else {
            throw failure("\(value) \(what) cannot be in the \(remaining) bytes left", at: start)
        }
        return Int(value)
    }

    mutating func string(_ what: String) throws -> String {
        let length = try count("bytes of \(what)", atLeast: 1)
        let start = offset
        let slice = UnsafeRawBufferPointer(rebasing: try take(length))
        guard let string = String(validating: slice.bindMemory(to: UInt8.self), as: UTF8.self) else {
            throw failure("\(what) is not valid UTF-8", at: start)
        }
        return string
    }

    mutating func boolean() throws -> Bool {
        let start = offset
        let byte: UInt8 = try number()
        guard byte <= 1 else { throw failure("a boolean is \(byte), not 0 or 1", at: start) }
        return byte == 1
    }

    mutating func kind(of key: String) throws -> MetadataValue.Kind {
        let start = offset
        let raw: UInt32 = try number()
        guard let kind = MetadataValue.Kind(rawValue: raw) else {
            throw failure("key \"\(key)\": value type \(raw) does not exist", at: start)
        }
        return kind
    }

    mutating func value(of key: String) throws -> MetadataValue {
        switch try kind(of: key) {
        case .uint8: .uint8(try number())
        case .int8: .int8(try number())
        case .uint16: .uint16(try number())
        case .int16: .int16(try number())
        case .uint32: .uint32(try number())
        case .int32: .int32(try number())
        case .float32: .float32(Float(bitPattern: try number()))
        case .bool: .bool(try boolean())
        case .string: .string(try string("the value of \"\(key)\""))
        case .array: .array(try array(of: key, depth: 0))
        case .uint64: .uint64(try number())
        case .int64: .int64(try number())
        case .float64: .float64(Double(bitPattern: try number()))
        }
    }

    mutating func array(of key: String, depth: Int) throws -> MetadataArray {
        guard depth < Self.nestingLimit else {
            throw failure("key \"\(key)\": arrays are nested more than \(Self.nestingLimit) deep")
        }
        let kind = try kind(of: key)
        func all<Element>(_ size: Int, _ next: (inout Reader) throws -> Element) throws -> [Element] {
            let count = try self.count("elements of \"\(key)\"", atLeast: size)
            var elements: [Element] = []
            // What the file can hold may still be more than fits in memory as Swift values: grow as they come.
            elements.reserveCapacity(min(count, 1 << 16))
            for _ in 0..<count { elements.append(try next(&self)) }
            return elements
        }
        return switch kind {
        case .uint8: .uint8(try all(1) { try $0.number() })
        case .int8: .int8(try all(1) { try $0.number() })
        case .uint16: .uint16(try all(2) { try $0.number() })
        case .int16: .int16(try all(2) { try $0.number() })
        case .uint32: .uint32(try all(4) { try $0.number() })
        case .int32: .int32(try all(4) { try $0.number() })
        case .float32: .float32(try all(4) { Float(bitPattern: try $0.number()) })
        case .bool: .bool(try all(1) { try $0.boolean() })
        case .string: .string(try all(8) { try $0.string("an element of \"\(key)\"") })
        case .array: .array(try all(12) { try $0.array(of: key, depth: depth + 1) })
        case .uint64: .uint64(try all(8) { try $0.number() })
        case .int64: .int64(try all(8) { try $0.number() })
        case .float64: .float64(try all(8) { Double(bitPattern: try $0.number()) })
        }
    }

    mutating func tensor() throws -> TensorDescription {
        let start = offset
        let name = try string("a tensor's name")
        let rank: UInt32 = try number()
        guard rank <= 4 else { throw failure("tensor \"\(name)\" has \(rank) dimensions; 4 are the most", at: start) }
        var dimensions: [Int] = []
        for _ in 0..<rank {
            let extent: UInt64 = try number()
            guard let extent = Int(exactly: extent) else {
                throw failure("tensor \"\(name)\" has an extent of \(extent)", at: start)
            }
            dimensions.append(extent)
        }
        let rawType: UInt32 = try number()
        guard let type = TensorType(rawValue: rawType) else {
            throw failure("tensor \"\(name)\": type \(rawType) does not exist", at: start)
        }
        let position: UInt64 = try number()
        var rows = 1
        for extent in dimensions.dropFirst() {
            let (product, overflow) = rows.multipliedReportingOverflow(by: extent)
            guard !overflow else { throw failure("tensor \"\(name)\": extents \(dimensions) overflow", at: start) }
            rows = product
        }
        guard let byteCount = type.byteCount(rowLength: dimensions.first ?? 1, rows: rows) else {
            throw failure("tensor \"\(name)\": \(dimensions) of \(type.name) is no whole number of blocks, or overflows", at: start)
        }
        guard let offset = Int(exactly: position) else {
            throw failure("tensor \"\(name)\": offset \(position) overflows", at: start)
        }
        return TensorDescription(name: name, dimensions: dimensions, type: type, offset: offset, byteCount: byteCount)
    }
}
