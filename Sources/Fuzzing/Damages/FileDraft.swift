import Architectures
import Devices
import GGUF
import Inference
import ModelGraph

/// The GGUF file of a model before it is bytes: any part of it can become another than the rest of the file says.
struct FileDraft {
    struct Key {
        var name: String
        var value: MetadataValue
    }

    struct Tensor {
        var name: String
        /// As the file lists them: the fastest first.
        var dimensions: [Int]
        var type: TensorType
        /// The tensor of the model whose data it has: from its start again where it is longer.
        var origin: TensorInfo
        /// Bytes of zeros that lie between the tensor before and it.
        var gap = 0

        var byteCount: Int {
            type.byteCount(rowLength: dimensions.first ?? 1, rows: dimensions.dropFirst().reduce(1, *)) ?? 0
        }
    }

    /// A number of the header that says something else than what is there.
    struct Override {
        var field: DraftLayout.Field
        var value: UInt64
    }

    let source: any TensorSource
    /// The tensors that the model has and might not have.
    let optionalTensors: Set<String>
    /// Tokens that the model knows; 0 where it knows none.
    let vocabulary: Int
    var byteOrder = ByteOrder.little
    /// Of the data, in bytes, whatever the metadata say of it.
    var alignment = Header.defaultAlignment
    var keys: [Key]
    var tensors: [Tensor]
    var overrides: [Override] = []
    /// What is done to the bytes in the end.
    var edits: [ByteEdit] = []

    init(_ source: any TensorSource, optionalTensors: [String]) {
        self.source = source
        self.optionalTensors = Set(optionalTensors)
        vocabulary = (try? ArchitectureCatalog.read(source.metadata))?.dimensions.vocabulary ?? 0
        keys = source.metadata.map { Key(name: $0.key, value: $0.value) }
        tensors = source.tensors.map {
            Tensor(name: $0.name, dimensions: $0.shape.gguf, type: $0.type, origin: $0)
        }
    }

    subscript(key name: String) -> MetadataValue? {
        get { keys.first { $0.name == name }?.value }
        set {
            guard let newValue else { return keys.removeAll { $0.name == name } }
            if let index = keys.firstIndex(where: { $0.name == name }) {
                keys[index].value = newValue
            } else {
                keys.append(Key(name: name, value: newValue))
            }
        }
    }

    /// The file.
    /// - Throws: what the source throws; `ModelError` for a field that the file does not have.
    func bytes() throws -> [UInt8] {
        let layout = DraftLayout(self)
        var bytes = layout.header
        for override in overrides { try layout.write(override, to: &bytes) }
        func pad(to offset: Int) {
            bytes.append(contentsOf: repeatElement(0, count: max(0, layout.dataOffset + offset - bytes.count)))
        }
        for (tensor, offset) in zip(tensors, layout.offsets) {
            pad(to: offset)
            bytes.append(contentsOf: try data(of: tensor))
        }
        pad(to: layout.byteCount - layout.dataOffset)
        for edit in edits { edit.apply(to: &bytes) }
        return bytes
    }

    private func data(of tensor: Tensor) throws -> [UInt8] {
        let count = tensor.byteCount
        return try source.data(of: tensor.origin).littleEndian().withBytes { own in
            guard own.count > 0 else { return Array(repeating: 0, count: count) }
            var bytes: [UInt8] = []
            bytes.reserveCapacity(count)
            while bytes.count < count { bytes.append(contentsOf: own.prefix(count - bytes.count)) }
            if byteOrder == .big { try bytes.withUnsafeMutableBytes { try tensor.type.swapBytes($0) } }
            return bytes
        }
    }
}

/// A change of bytes that asks nothing about what they mean.
enum ByteEdit {
    /// Ends the file here.
    case cut(Int)
    /// Flips these bits of a byte.
    case flip(Int, UInt8)
    case zero(Range<Int>)
    case remove(Range<Int>)
    /// Zeros come before a byte, or after the last one.
    case insert(Int, count: Int)

    /// - Precondition: the positions are of the file.
    func apply(to bytes: inout [UInt8]) {
        switch self {
        case .cut(let length): bytes.removeLast(bytes.count - length)
        case .flip(let position, let bits): bytes[position] ^= bits
        case .zero(let range): for position in range { bytes[position] = 0 }
        case .remove(let range): bytes.removeSubrange(range)
        case .insert(let position, let count):
            bytes.insert(contentsOf: repeatElement(0, count: count), at: position)
        }
    }

    func length(after length: Int) -> Int {
        switch self {
        case .cut(let end): end
        case .flip, .zero: length
        case .remove(let range): length - range.count
        case .insert(_, let count): length + count
        }
    }
}
