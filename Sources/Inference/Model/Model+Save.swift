import Devices
import GGUF
import ModelGraph

extension Model {
    /// Writes the model to a GGUF file, little-endian: all its metadata and tensors, those included that its
    /// graphs do not use, in their order. What is loaded from that file saves to the same bytes.
    /// - Throws: `GGUFError`; `ModelError` for a tensor whose bytes would have to be swapped and cannot be.
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

extension TensorData {
    /// The tensor's bytes, with every number in little-endian order.
    func littleEndian() throws -> TensorBytes {
        guard byteOrder == .big else { return bytes }
        // A block of the types that have one begins with a scale in half precision, and bytes follow it.
        let size = type.isQuantized ? 2 : type.bytesPerBlock
        guard type.canDecode else {
            throw ModelError(subject: name, reason: "is big-endian \(type.name), whose byte order cannot be changed")
        }
        return bytes.withBytes { source in
            TensorBytes(count: source.count) { target in
                target.copyMemory(from: source)
                for block in stride(from: 0, to: source.count, by: type.bytesPerBlock) {
                    target[block ..< block + size].reverse()
                }
            }
        }
    }
}
