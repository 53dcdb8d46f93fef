/// What stands before the data section of a GGUF file, read and checked against the file's size.
///
/// Source: the ggml GGUF specification, `gguf_header_t` and `gguf_tensor_info_t`.
package struct Header {
    package static let magic = Array("GGUF".utf8)
    package static let versions: ClosedRange<UInt32> = 2...3
    package static let alignmentKey = "general.alignment"
    package static let defaultAlignment = 32

    let version: UInt32
    let byteOrder: ByteOrder
    let metadata: Metadata
    let alignment: Int
    let dataOffset: Int
    let tensors: [TensorDescription]
    /// Of each tensor, by name.
    let indices: [String: Int]

    init(_ bytes: UnsafeRawBufferPointer, file: String) throws {
        var reader = ByteReader(bytes, file: file, order: .little)
        guard try reader.take(4, for: "the magic").elementsEqual(Self.magic) else {
            throw reader.failure(at: 0, "not a GGUF file: it does not start with GGUF")
        }
        // Nothing in the file names its byte order: the version shows it.
        let number = try reader.integer(UInt32.self, for: "the version")
        let isSwapped = Self.versions.contains(number.byteSwapped)
        guard isSwapped || Self.versions.contains(number) else {
            throw reader.failure(at: 4, "GGUF version \(number) is not supported; versions 2 and 3 are")
        }
        version = isSwapped ? number.byteSwapped : number
        byteOrder = isSwapped ? .big : .little
        reader.order = byteOrder

        let tensorCount = try reader.count(of: TensorRecord.minimumByteCount, for: "the tensor count")
        let keyCount = try reader.count(of: 8 + 4 + 1, for: "the metadata key count")
        (metadata, alignment) = try Self.metadata(count: keyCount, &reader)

        let records = try (0..<tensorCount).map { try TensorRecord(&reader, index: $0) }
        dataOffset = try Self.dataOffset(after: reader, alignment: alignment, isEmpty: records.isEmpty)
        tensors = records.map(\.tensor)
        indices = try Self.indices(of: records, reader)
        try Self.checkPlacement(of: records, alignment: alignment, dataOffset: dataOffset, reader)
    }

    private static func metadata(count: Int, _ reader: inout ByteReader) throws -> (Metadata, alignment: Int) {
        var metadata = Metadata()
        var alignment = defaultAlignment
        for index in 0..<count {
            let start = reader.offset
            let (key, value) = try reader.keyAndValue(index: index)
            guard metadata[key] == nil else {
                throw reader.failure(at: start, "key \(quoted(key)) occurs twice")
            }
            metadata[key] = value
            guard key == alignmentKey else { continue }
            do {
                alignment = try Self.alignment(in: metadata)
            } catch {
                throw error.located(file: reader.file, offset: start)
            }
        }
        return (metadata, alignment)
    }

    /// A power of two is what ggml reads, a multiple of 8 what the specification asks for; either will do.
    static func alignment(in metadata: Metadata) throws(GGUFError) -> Int {
        guard let value = metadata[alignmentKey] else { return defaultAlignment }
        guard case .uint32(let number) = value else {
            throw GGUFError(reason: "\(alignmentKey) is \(value.typeName), but must be uint32")
        }
        guard number.nonzeroBitCount == 1 || (number > 0 && number % 8 == 0) else {
            throw GGUFError(reason: "\(alignmentKey) is \(number), but must be a power of two or a multiple of 8")
        }
        return Int(number)
    }

    /// A file without tensors need not have the padding before its empty data section.
    private static func dataOffset(after reader: ByteReader, alignment: Int, isEmpty: Bool) throws -> Int {
        guard let offset = reader.offset.roundedUp(to: alignment) else {
            throw reader.failure("the start of the data section overflows")
        }
        if isEmpty { return min(offset, reader.bytes.count) }
        guard offset <= reader.bytes.count else {
            throw reader.failure(
                "the data section starts at \(offset), but the file ends at \(reader.bytes.count)")
        }
        return offset
    }

    private static func indices(of records: [TensorRecord], _ reader: ByteReader) throws -> [String: Int] {
        var indices: [String: Int] = [:]
        for (index, record) in records.enumerated() {
            guard indices.updateValue(index, forKey: record.tensor.name) == nil else {
                throw reader.failure(at: record.position, "tensor \(quoted(record.tensor.name)) occurs twice")
            }
        }
        return indices
    }

    /// Every tensor is aligned, within the file, and on its own.
    private static func checkPlacement(
        of records: [TensorRecord], alignment: Int, dataOffset: Int, _ reader: ByteReader
    ) throws {
        let available = reader.bytes.count - dataOffset
        for record in records {
            let tensor = record.tensor
            guard tensor.offset % alignment == 0 else {
                throw reader.failure(
                    at: record.position,
                    "tensor \(quoted(tensor.name)) at \(tensor.offset) is not aligned to \(alignment) bytes")
            }
            guard tensor.offset <= available, tensor.byteCount <= available - tensor.offset else {
                throw reader.failure(
                    at: record.position,
                    "tensor \(quoted(tensor.name)) of \(tensor.byteCount) bytes at \(tensor.offset) "
                        + "does not lie within the data section of \(available) bytes")
            }
        }
        let placed = records.filter { $0.tensor.byteCount > 0 }.sorted { $0.tensor.offset < $1.tensor.offset }
        for (first, second) in zip(placed, placed.dropFirst())
        where first.tensor.offset + first.tensor.byteCount > second.tensor.offset {
            throw reader.failure(
                at: second.position,
                "tensors \(quoted(first.tensor.name)) and \(quoted(second.tensor.name)) overlap")
        }
    }
}

/// A tensor's description and where in the file it stands.
private struct TensorRecord {
    /// An empty name, no dimensions, the type and the offset.
    static let minimumByteCount = 8 + 4 + 4 + 8

    let tensor: TensorDescription
    let position: Int

    init(_ reader: inout ByteReader, index: Int) throws {
        position = reader.offset
        let name = try reader.string(for: "the name of tensor \(index)")
        var purpose: String { "tensor \(quoted(name))" }
        let dimensionCount = try reader.integer(UInt32.self, for: "the dimension count of " + purpose)
        guard dimensionCount <= TensorDescription.maximumDimensionCount else {
            throw reader.failure(
                at: reader.offset - 4,
                "\(purpose) has \(dimensionCount) dimensions; "
                    + "at most \(TensorDescription.maximumDimensionCount) are allowed")
        }
        let sizes = try reader.integers(Int(dimensionCount), UInt64.self, for: "the dimensions of " + purpose)
        let dimensions = sizes.compactMap(Int.init(exactly:))
        guard dimensions.count == sizes.count else {
            throw reader.failure(at: position, "a dimension of \(purpose) is too large: \(sizes)")
        }
        let number = try reader.integer(UInt32.self, for: "the type of " + purpose)
        guard let type = TensorType(rawValue: number) else {
            throw reader.failure(at: reader.offset - 4, "\(purpose) has the unknown type \(number)")
        }
        let place = try reader.integer(UInt64.self, for: "the offset of " + purpose)
        guard let offset = Int(exactly: place) else {
            throw reader.failure(at: position, "the offset of \(purpose) is too large: \(place)")
        }
        do {
            tensor = try TensorDescription(name: name, dimensions: dimensions, type: type, offset: offset)
        } catch let error as GGUFError {
            throw error.located(file: reader.file, offset: position)
        }
    }
}

extension Int {
    /// The next multiple; nil where it overflows.
    package func roundedUp(to multiple: Int) -> Int? {
        let (sum, overflow) = addingReportingOverflow(multiple - 1)
        return overflow ? nil : sum - sum % multiple
    }
}
