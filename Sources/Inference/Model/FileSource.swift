import Devices
import GGUF
import ModelGraph

/// A model that lies in a GGUF file; its tensors stay where they are mapped.
public final class FileSource: TensorSource {
    public let file: GGUFFile

    public init(_ file: GGUFFile) { self.file = file }

    /// - Throws: `GGUFError`.
    public convenience init(path: String) throws { self.init(try GGUFFile(path: path)) }

    public var metadata: Metadata { file.metadata }
    public var tensors: [TensorInfo] {
        file.tensors.map { TensorInfo(name: $0.name, shape: Shape(gguf: $0.dimensions), type: $0.type) }
    }

    public func data(of tensor: TensorInfo) throws -> TensorData {
        guard let found = file.tensor(named: tensor.name) else {
            throw ModelError(subject: tensor.name, reason: "is not in \(file.path)")
        }
        return TensorData(
            name: found.name, shape: Shape(gguf: found.dimensions), type: found.type, byteOrder: file.byteOrder,
            bytes: TensorBytes(file.bytes(of: found), owner: file))
    }
}
