import Devices
import GGUF

extension TensorData {
    /// The elements as float32, on the host.
    func floats() throws -> [Float] {
        try [Float](unsafeUninitializedCapacity: shape.count) { elements, count in
            let target = UnsafeMutableBufferPointer(rebasing: elements[..<shape.count])
            try bytes.withBytes { try type.decode($0, order: byteOrder, into: target) }
            count = shape.count
        }
    }
}
