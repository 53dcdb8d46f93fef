/// Where everything in a file to be written will lie, and the bytes that come before the data section.
struct FileLayout {
    /// Everything before the first tensor's data, padding included.
    let header: [UInt8]
    let tensors: [TensorDescription]
    let byteOrder: ByteOrder
    let alignment: Int
    /// The size of the whole file.
    let byteCount: Int

    /// `GGML_MAX_NAME` less its terminator.
    static let maximumNameLength = 63

    init(
        _ metadata: Metadata, _ tensors: [GGUFWriter.Tensor], version: UInt32, byteOrder: ByteOrder
    ) throws {
        guard Header.versions.contains(version) else {
            throw GGUFError(reason: "cannot write GGUF version \(version)")
        }
        let alignment = try Header.alignment(in: metadata)
        guard alignment.nonzeroBitCount == 1 else {
            throw GGUFError(reason: "\(Header.alignmentKey) is \(alignment), but ggml reads powers of two only")
        }
        let (placed, dataByteCount) = try Self.place(tensors, alignment)

        var writer = ByteWriter(order: byteOrder)
        writer.append(raw: Header.magic)
        writer.append(version)
        writer.append(UInt64(placed.count))
        writer.append(UInt64(metadata.count))
        for (key, value) in metadata {
            guard value.array?.depth ?? 0 <= MetadataArray.maximumDepth else {
                throw GGUFError(
                    reason: "key \(quoted(key)) nests arrays more than \(MetadataArray.maximumDepth) deep")
            }
            writer.append(key)
            writer.append(value)
        }
        for tensor in placed {
            writer.append(tensor.name)
            writer.append(UInt32(tensor.dimensions.count))
            for dimension in tensor.dimensions { writer.append(UInt64(dimension)) }
            writer.append(tensor.type.rawValue)
            writer.append(UInt64(tensor.offset))
        }
        writer.append(raw: repeatElement(0, count: -writer.bytes.count & (alignment - 1)))

        let (byteCount, overflow) = dataByteCount.addingReportingOverflow(writer.bytes.count)
        guard !overflow else { throw GGUFError(reason: "the size of the file overflows") }
        header = writer.bytes
        self.tensors = placed
        self.byteOrder = byteOrder
        self.alignment = alignment
        self.byteCount = byteCount
    }

    /// The tensors one after the other, each padded to the alignment, and the bytes that they take together.
    private static func place(
        _ tensors: [GGUFWriter.Tensor], _ alignment: Int
    ) throws -> (tensors: [TensorDescription], byteCount: Int) {
        var names = Set<String>()
        var end = 0
        let placed = try tensors.map { tensor in
            guard names.insert(tensor.name).inserted else {
                throw GGUFError(reason: "tensor \(quoted(tensor.name)) occurs twice")
            }
            guard tensor.name.utf8.count <= maximumNameLength else {
                throw GGUFError(
                    reason: "tensor name \(quoted(tensor.name)) is longer than \(maximumNameLength) bytes")
            }
            let description = try TensorDescription(
                name: tensor.name, dimensions: tensor.dimensions, type: tensor.type, offset: end)
            let (next, overflow) = end.addingReportingOverflow(description.byteCount)
            guard !overflow, let padded = next.roundedUp(to: alignment) else {
                throw GGUFError(reason: "the size of the data section overflows")
            }
            end = padded
            return description
        }
        return (placed, end)
    }
}
