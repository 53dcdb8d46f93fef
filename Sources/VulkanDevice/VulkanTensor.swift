import CVulkan
import Devices
import GGUF

/// A weight in the device's memory, in its own format and, once an op asks for it, as float32.
final class VulkanTensor: DeviceTensor {
    private let context: Context
    private let tensor: TensorData
    let format: WeightFormat
    private let own: Region
    private let ownBytes: Int
    private var floats: Region?

    init(context: Context, tensor: TensorData) throws {
        self.context = context
        self.tensor = tensor
        guard tensor.type.byteCount(rowLength: tensor.shape.last, rows: tensor.shape.rows) == tensor.bytes.count else {
            throw context.error(
                "\(tensor.name): \(tensor.bytes.count) bytes of \(tensor.type.name) are not \(tensor.shape)")
        }
        // Numbers that are no usual weights are few, and converted.
        if let format = WeightFormat(tensor.type) {
            self.format = format
            ownBytes = format.grid.count + tensor.bytes.count
            own = try Self.region(context, tensor, bytes: ownBytes)
            try format.grid.withUnsafeBytes { if !$0.isEmpty { try context.write($0, to: own) } }
            let (region, offset) = (own, format.grid.count)
            try tensor.littleEndian().withBytes { try context.write($0, to: region, at: offset) }
        } else {
            format = .float32
            let values = try tensor.floats()
            ownBytes = values.count * 4
            own = try Self.region(context, tensor, bytes: ownBytes)
            try values.withUnsafeBytes { try context.write($0, to: own) }
        }
    }

    private static func region(_ context: Context, _ tensor: TensorData, bytes: Int) throws -> Region {
        guard bytes <= context.limits.bindingBytes else {
            throw context.error(
                "\(tensor.name): \(bytes) bytes exceed the \(context.limits.bindingBytes) bytes of a binding")
        }
        return try context.deviceMemory.allocate(bytes: max(bytes, 4))
    }

    /// Number of elements.
    var count: Int { tensor.shape.count }

    /// What shaders bind, in `format`; whole words.
    var range: VulkanRange { own.range(0, max((ownBytes + 3) / 4 * 4, 4)) }

    /// What shaders that know float32 alone bind.
    func floatRange() throws -> VulkanRange { try floatRegion().range(0, max(count * 4, 4)) }

    /// Where the elements lie as float32; made when first asked for.
    func floatRegion() throws -> Region {
        if format.type == .f32 { return own }
        if let floats { return floats }
        let made = try Self.region(context, tensor, bytes: count * 4)
        try hostFloats().withUnsafeBytes { try context.write($0, to: made) }
        floats = made
        return made
    }

    /// The elements on the host.
    func hostFloats() throws -> [Float] { try tensor.floats() }
}
