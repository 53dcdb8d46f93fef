/// Writes GGUF files: the same content always gives the same bytes.
///
/// Metadata and tensors are written in the order given. Tensor data is aligned to `general.alignment` of the
/// metadata, or to 32 bytes, and padded with zeros, after the last tensor too.
public enum GGUFWriter {
    /// A tensor to be written.
    public struct Tensor {
        public var name: String
        /// In the format's order: the fastest dimension first.
        public var dimensions: [Int]
        public var type: TensorType
        /// Hands the tensor's bytes, little-endian, to its argument: at once, or in pieces of whole blocks.
        public var withBytes: ((UnsafeRawBufferPointer) throws -> Void) throws -> Void

        public init(
            name: String, dimensions: [Int], type: TensorType,
            withBytes: @escaping ((UnsafeRawBufferPointer) throws -> Void) throws -> Void
        ) {
            self.name = name
            self.dimensions = dimensions
            self.type = type
            self.withBytes = withBytes
        }

        public init(name: String, dimensions: [Int], type: TensorType, bytes: [UInt8]) {
            self.init(name: name, dimensions: dimensions, type: type) { try bytes.withUnsafeBytes($0) }
        }
    }

    /// Writes a file in one step: until all of it is there, what was at `path` stays as it was.
    ///
    /// Each tensor is asked for its bytes once, in order. Throws what that throws, and `GGUFError` where the
    /// file cannot be written or would be one that ggml does not read: a tensor name that occurs twice or is
    /// longer than 63 bytes, an alignment that is not a power of two, data of another size than the shape's.
    public static func write(
        _ metadata: Metadata, _ tensors: [Tensor], to path: String,
        version: UInt32 = 3, byteOrder: ByteOrder = .little
    ) throws {
        do {
            let layout = try FileLayout(metadata, tensors, version: version, byteOrder: byteOrder)
            let file = try ReplacementFile(for: path)
            try emit(layout, tensors, to: file.append)
            try file.commit()
        } catch let error as GGUFError {
            throw error.located(file: path)
        }
    }

    /// The bytes of the file that `write` would write.
    public static func bytes(
        _ metadata: Metadata, _ tensors: [Tensor], version: UInt32 = 3, byteOrder: ByteOrder = .little
    ) throws -> [UInt8] {
        let layout = try FileLayout(metadata, tensors, version: version, byteOrder: byteOrder)
        var result: [UInt8] = []
        result.reserveCapacity(layout.byteCount)
        try emit(layout, tensors) { result.append(contentsOf: $0) }
        return result
    }

    private static func emit(
        _ layout: FileLayout, _ tensors: [Tensor], to sink: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        try layout.header.withUnsafeBytes(sink)
        for (tensor, description) in zip(tensors, layout.tensors) {
            var count = 0
            try tensor.withBytes { bytes in
                count += bytes.count
                guard count <= description.byteCount else { return }
                if layout.byteOrder == .little { return try sink(bytes) }
                var copy = Array(bytes)
                try copy.withUnsafeMutableBytes { try tensor.type.swapBytes($0) }
                try copy.withUnsafeBytes(sink)
            }
            guard count == description.byteCount else {
                throw GGUFError(
                    reason: "tensor \(quoted(tensor.name)) has \(count) bytes of data "
                        + "where its shape needs \(description.byteCount)")
            }
            let padding = -description.byteCount & (layout.alignment - 1)
            try [UInt8](repeating: 0, count: padding).withUnsafeBytes(sink)
        }
    }
}
