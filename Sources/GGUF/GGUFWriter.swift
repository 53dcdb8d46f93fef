import Foundation

/// Writes GGUF files, version 3, little-endian; the same content gives the same bytes.
public struct GGUFWriter {
    /// A tensor to be written.
    public struct Tensor {
        public var name: String
        /// In the format's order: the contiguous dimension first.
        public var dimensions: [Int]
        public var type: TensorType
        /// Hands the tensor's bytes, little-endian, to its argument; called once.
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

    /// Alignment of tensor data is `general.alignment`, or 32 where the metadata has none.
    public static func bytes(_ metadata: Metadata, _ tensors: [Tensor]) throws -> [UInt8] {
        var output: [UInt8] = []
        try write(metadata, tensors, to: "memory") { output.append(contentsOf: $0) }
        return output
    }

    /// Writes a file whole or not at all: to a temporary file beside it, which then takes its name.
    public static func write(_ metadata: Metadata, _ tensors: [Tensor], to path: String) throws {
        let temporary = "\(path).\(getpid()).tmp"
        func failure(_ what: String) -> GGUFError {
            GGUFError(file: path, reason: "\(what): \(String(cString: strerror(errno)))")
        }
        guard let file = fopen(temporary, "wb") else { throw failure("cannot be written") }
        do {
            try write(metadata, tensors, to: path) { bytes in
                guard fwrite(bytes.baseAddress, 1, bytes.count, file) == bytes.count else { throw failure("cannot be written") }
            }
            guard fflush(file) == 0, fsync(fileno(file)) == 0 else { throw failure("cannot be written") }
        } catch {
            fclose(file)
            unlink(temporary)
            throw error
        }
        guard fclose(file) == 0, rename(temporary, path) == 0 else {
            defer { unlink(temporary) }
            throw failure("cannot be written")
        }
    }

    private static func write(
        _ metadata: Metadata, _ tensors: [Tensor], to file: String, _ emit: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        let alignment = metadata["general.alignment"]?.integer ?? 32
        guard alignment > 0, alignment & (alignment - 1) == 0 else {
            throw GGUFError(file: file, reason: "general.alignment: \(alignment) is no power of two")
        }
        var header = Header()
        header.bytes += GGUFFile.magic
        header.append(3 as UInt32)
        header.append(UInt64(tensors.count))
        header.append(UInt64(metadata.count))
        for (key, value) in metadata {
            header.append(key)
            header.append(value.kind.rawValue)
            header.append(value)
        }
        var offset = 0
        var sizes: [Int] = []
        for tensor in tensors {
            guard
                tensor.dimensions.count <= 4,
                let size = tensor.type.byteCount(
                    rowLength: tensor.dimensions.first ?? 1, rows: tensor.dimensions.dropFirst().reduce(1, *))
            else {
                throw GGUFError(
                    file: file, reason: "tensor \"\(tensor.name)\": \(tensor.dimensions) cannot be stored as \(tensor.type.name)")
            }
            header.append(tensor.name)
            header.append(UInt32(tensor.dimensions.count))
            for extent in tensor.dimensions { header.append(UInt64(extent)) }
            header.append(tensor.type.rawValue)
            header.append(UInt64(offset))
            sizes.append(size)
            offset += padded(size, alignment)
        }
        header.bytes += [UInt8](repeating: 0, count: padded(header.bytes.count, alignment) - header.bytes.count)
        try header.bytes.withUnsafeBytes(emit)

        for (tensor, size) in zip(tensors, sizes) {
            try tensor.withBytes { bytes in
                guard bytes.count == size else {
                    throw GGUFError(
                        file: file, reason: "tensor \"\(tensor.name)\" has \(bytes.count) bytes where its shape needs \(size)")
                }
                try emit(bytes)
            }
            try [UInt8](repeating: 0, count: padded(size, alignment) - size).withUnsafeBytes(emit)
        }
    }

    private static func padded(_ count: Int, _ alignment: Int) -> Int { (count + alignment - 1) / alignment * alignment }
}

/// Bytes of the header as they accumulate.
private struct Header {
    var bytes: [UInt8] = []

    mutating func append(_ number: some FixedWidthInteger) {
        withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
    }
    mutating func append(_ string: String) {
        append(UInt64(string.utf8.count))
        bytes.append(contentsOf: string.utf8)
    }
    mutating func append(_ flag: Bool) { append(flag ? 1 : 0 as UInt8) }

    mutating func append(_ value: MetadataValue) {
        switch value {
        case .uint8(let value): append(value)
        case .int8(let value): append(value)
        case .uint16(let value): append(value)
        case .int16(let value): append(value)
        case .uint32(let value): append(value)
        case .int32(let value): append(value)
        case .float32(let value): append(value.bitPattern)
        case .bool(let value): append(value)
        case .string(let value): append(value)
        case .array(let value): append(value)
        case .uint64(let value): append(value)
        case .int64(let value): append(value)
        case .float64(let value): append(value.bitPattern)
        }
    }

    mutating func append(_ array: MetadataArray) {
        append(array.elementKind.rawValue)
        append(UInt64(array.count))
        switch array {
        case .uint8(let values): bytes += values
        case .int8(let values): values.forEach { append($0) }
        case .uint16(let values): values.forEach { append($0) }
        case .int16(let values): values.forEach { append($0) }
        case .uint32(let values): values.forEach { append($0) }
        case .int32(let values): values.forEach { append($0) }
        case .float32(let values): values.forEach { append($0.bitPattern) }
        case .bool(let values): values.forEach { append($0) }
        case .string(let values): values.forEach { append($0) }
        case .array(let values): values.forEach { append($0) }
        case .uint64(let values): values.forEach { append($0) }
        case .int64(let values): values.forEach { append($0) }
        case .float64(let values): values.forEach { append($0.bitPattern) }
        }
    }
}
