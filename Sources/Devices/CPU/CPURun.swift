import CKernels
import GGUF
import ModelGraph

/// What the steps of an executable work on during one run.
struct CPURun {
    /// Where each value begins, by `ValueID`; only those of the segment have a meaning.
    let values: UnsafePointer<UnsafeMutablePointer<Float>>
    let tensors: [CPUTensor?]
    let states: [CPUState?]
    /// Tables that one step fills and others read.
    let tables: UnsafeMutablePointer<Float>
    /// Whatever a step needs while it runs.
    let scratch: UnsafeMutablePointer<Float>

    subscript(_ value: ValueID) -> UnsafeMutablePointer<Float> { values[value] }
    func indices(_ value: ValueID) -> UnsafeMutablePointer<Int32> {
        UnsafeMutableRawPointer(values[value]).assumingMemoryBound(to: Int32.self)
    }

    func state(_ id: StateID) throws -> CPUState {
        guard states.indices.contains(id), let state = states[id] else { throw CPUDevice.error("no state \(id)") }
        return state
    }

    /// Rows of `columns` elements, in their own type if they are a weight.
    func matrix(_ source: CPUMatrixSource, columns: Int) throws -> CPUMatrix {
        switch source {
        case .value(let value):
            return CPUMatrix(UnsafeRawPointer(values[value]), rowBytes: 4 * columns, type: .f32)
        case .weight(let index):
            guard let tensor = tensors[index] else { throw CPUDevice.error("no weight \(index)") }
            // Rows lie without gaps, so that a weight may have been reshaped, to rows of whole blocks.
            guard let rowBytes = tensor.type.byteCount(elements: columns) else {
                throw CPUDevice.error("\(tensor.name): rows of \(columns) are no whole blocks of \(tensor.type.name)")
            }
            return CPUMatrix(tensor.pointer, rowBytes: rowBytes, type: tensor.type)
        }
    }

    /// - Throws: `DeviceError` if one of the indices is not in `0 ..< limit`.
    func check(_ value: ValueID, count: Int, below limit: Int, _ what: String) throws {
        let bad = cpu_invalid_index(indices(value), count, limit)
        if bad >= 0 { throw CPUDevice.error("\(what) \(indices(value)[bad]) is not in 0 ..< \(limit)") }
    }
}

enum CPUMatrixSource {
    case weight(Int)
    case value(ValueID)
}

struct CPUMatrix {
    var pointer: UnsafeRawPointer
    var rowBytes: Int
    /// Of `CPU_WEIGHT_COLUMNS` elements.
    var stepBytes: Int
    var type: TensorType

    init(_ pointer: UnsafeRawPointer, rowBytes: Int, type: TensorType) {
        self.pointer = pointer
        self.rowBytes = rowBytes
        stepBytes = Int(CPU_WEIGHT_COLUMNS) / type.blockSize * type.bytesPerBlock
        self.type = type
    }
}

typealias CPUStep = (CPURun) throws -> Void
