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
