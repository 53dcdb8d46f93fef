import GGUF

extension Model {
    /// Writes the model to a GGUF file, little-endian: all its metadata and tensors, those included that its
    /// graphs do not use, in their order. What is loaded from that file saves to the same bytes.
    /// - Throws: `GGUFError`, also for a tensor whose bytes would have to be swapped and cannot be.
    public func save(to path: String) throws {
        try GGUFWriter.write(metadata, writerTensors(), to: path)
    }

    /// The bytes of the file that `save` writes.
    public func savedBytes() throws -> [UInt8] {
        try GGUFWriter.bytes(metadata, writerTensors())
    }

    private func writerTensors() -> [GGUFWriter.Tensor] {
        source.tensors.map { tensor in
            GGUFWriter.Tensor(name: tensor.name, dimensions: tensor.shape.gguf, type: tensor.type) { [source] write in
                let data = try source.data(of: tensor)
                try data.littleEndian().withBytes(write)
            }
        }
    }
}
