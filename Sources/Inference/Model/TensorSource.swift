import Devices
import GGUF
import ModelGraph

/// Where a model's metadata and tensors come from: a file, or a function.
public protocol TensorSource: Sendable {
    var metadata: Metadata { get }
    /// Every tensor, in the order in which a file lists them.
    var tensors: [TensorInfo] { get }
    /// The elements of a tensor that `tensors` lists.
    func data(of tensor: TensorInfo) throws -> TensorData
}

/// A tensor without its elements.
public struct TensorInfo: Hashable, Sendable {
    public var name: String
    public var shape: Shape
    public var type: TensorType

    public init(name: String, shape: Shape, type: TensorType) {
        self.name = name
        self.shape = shape
        self.type = type
    }

    /// nil if a row is no whole number of the type's blocks.
    public var byteCount: Int? { type.byteCount(rowLength: shape.last, rows: shape.rows) }
}
