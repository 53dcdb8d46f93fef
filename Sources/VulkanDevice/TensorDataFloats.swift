import Devices
import GGUF

extension TensorData {
    /// The elements as float32, on the host.
    func floats(_ context: Context) throws -> [Float] {
        bytes.withBytes { Array($0.bindMemory(to: Float.self)) }
    }
}
