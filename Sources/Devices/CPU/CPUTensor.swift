import CKernels
import Foundation
import GGUF
import ModelGraph

/// A weight in the bytes of its own type; as floats too, once an elementwise op asks for it.
final class CPUTensor: DeviceTensor {
    let name: String
    let shape: Shape
    let type: TensorType
    let pointer: UnsafeRawPointer
    private let bytes: TensorBytes
    private let kernels: CPUKernelTable
    private let lock = NSLock()
    private var decoded: TensorBytes?

    init(_ tensor: TensorData, kernels: CPUKernelTable) throws {
        let (row, rows) = (tensor.shape.last, tensor.shape.rows)
        guard let size = tensor.type.byteCount(rowLength: row, rows: rows), tensor.bytes.count == size else {
            throw CPUDevice.error(
                "\(tensor.name): \(tensor.bytes.count) bytes for \(tensor.shape) of \(tensor.type.name)")
        }
        name = tensor.name
        shape = tensor.shape
        type = tensor.type
        self.kernels = kernels
        bytes = Self.aligned(try tensor.littleEndian(), to: tensor.type == .f32 ? 4 : 2)
        // `bytes` neither move nor change while this object keeps them.
        pointer = bytes.withBytes { $0.baseAddress ?? UnsafeRawPointer(bitPattern: 64).unsafelyUnwrapped }
    }

    /// The bytes themselves where they are aligned, else a copy that is.
    private static func aligned(_ bytes: TensorBytes, to alignment: Int) -> TensorBytes {
        bytes.withBytes { source in
            Int(bitPattern: source.baseAddress) % alignment == 0
                ? bytes : TensorBytes(count: source.count) { $0.copyMemory(from: source) }
        }
    }

    /// All elements as floats.
    var floats: UnsafePointer<Float> {
        if type == .f32 { return pointer.assumingMemoryBound(to: Float.self) }
        let all = lock.withLock {
            if let decoded { return decoded }
            let result = TensorBytes(count: 4 * max(1, shape.count)) { memory in
                guard let start = memory.assumingMemoryBound(to: Float.self).baseAddress else { return }
                kernels.functions.decode(type.rawValue, pointer, start, shape.count)
            }
            decoded = result
            return result
        }
        return all.withBytes { $0.assumingMemoryBound(to: Float.self).baseAddress.unsafelyUnwrapped }
    }
}
