import Devices
import GGUF
import ModelGraph

/// A model that lies in a GGUF file, or in the several that it was split into; its tensors stay where they are mapped.
public final class FileSource: TensorSource {
    /// In their order; one where the model is not split.
    public let files: [GGUFFile]
    public let metadata: Metadata

    public convenience init(_ file: GGUFFile) { self.init(GGUFParts(file)) }

    /// - Parameter path: of the file, or of any of its parts.
    /// - Throws: `GGUFError`.
    public convenience init(path: String) throws { self.init(try GGUFParts(path: path)) }

    public init(_ parts: GGUFParts) {
        files = parts.files
        metadata = parts.metadata
    }

    /// The file that is the whole model as `save` would write it: little-endian and not split; nil where it is not.
    public var wholeFile: GGUFFile? { files.count == 1 && files[0].byteOrder == .little ? files[0] : nil }

    public var tensors: [TensorInfo] {
        files.flatMap { $0.tensors.map { TensorInfo(name: $0.name, shape: Shape(gguf: $0.dimensions), type: $0.type) } }
    }

    public func data(of tensor: TensorInfo) throws -> TensorData {
        for file in files {
            guard let found = file.tensor(named: tensor.name) else { continue }
            return TensorData(
                name: found.name, shape: Shape(gguf: found.dimensions), type: found.type, byteOrder: file.byteOrder,
                bytes: TensorBytes(file.bytes(of: found), owner: file))
        }
        throw ModelError(subject: tensor.name, reason: "is not in \(files[0].path)")
    }
}
