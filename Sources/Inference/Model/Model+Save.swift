import GGUF

extension TensorSource {
    /// Writes metadata and tensors to a GGUF file, little-endian, in their order.
    /// - Throws: `GGUFError`, also for a tensor whose bytes would have to be swapped and cannot be.
    public func save(to path: String) throws {
        try GGUFWriter.write(metadata, writerTensors(), to: path)
    }

    /// The bytes of the file that `save` writes.
    public func bytesOfFile() throws -> [UInt8] {
        try GGUFWriter.bytes(metadata, writerTensors())
    }

    /// The bytes of several files that hold the model together, as `GGUFParts` reads them: the first has all metadata,
    /// and each a part of the tensors, if there are as many.
    /// - Throws: as `save`.
    public func bytesOfParts(_ count: Int) throws -> [[UInt8]] {
        let tensors = writerTensors()
        return try (0..<count).map { number in
            var metadata = number == 0 ? metadata : Metadata()
            metadata[GGUFParts.numberKey] = .uint16(UInt16(number))
            metadata[GGUFParts.countKey] = .uint16(UInt16(count))
            metadata[GGUFParts.tensorCountKey] = .int32(Int32(clamping: tensors.count))
            let part = tensors.count * number / count ..< tensors.count * (number + 1) / count
            return try GGUFWriter.bytes(metadata, Array(tensors[part]))
        }
    }

    private func writerTensors() -> [GGUFWriter.Tensor] {
        tensors.map { tensor in
            GGUFWriter.Tensor(name: tensor.name, dimensions: tensor.shape.gguf, type: tensor.type) { write in
                try data(of: tensor).littleEndian().withBytes(write)
            }
        }
    }
}

extension Model {
    /// Writes the model to a GGUF file: all its metadata and tensors.
    /// What is loaded from that file saves to the same bytes.
    /// - Throws: as `TensorSource.save`.
    public func save(to path: String) throws { try source.save(to: path) }

    /// The bytes of the file that `save` writes.
    public func savedBytes() throws -> [UInt8] { try source.bytesOfFile() }
}
