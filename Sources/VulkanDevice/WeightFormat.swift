import GGUF

/// How a weight lies in the device's memory: plain numbers or blocks, little-endian, and in front of these the grid
/// that their indices point into, where their type has one.
struct WeightFormat {
    let type: TensorType
    let grid: [UInt8]

    static let float32 = WeightFormat(type: .f32, grid: [])

    /// Nil for types that are converted to float32 when they are loaded.
    init?(_ type: TensorType) {
        guard type.isQuantized || [.f32, .f16, .bf16].contains(type) else { return nil }
        self.init(type: type, grid: type.grid.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] })
    }

    private init(type: TensorType, grid: [UInt8]) {
        self.type = type
        self.grid = grid
    }

    /// What shaders are told of it, in the order of their specialisation constants.
    enum Property: CaseIterable { case type, blockSize, bytesPerBlock, gridBytes }

    subscript(_ property: Property) -> UInt32 {
        switch property {
        case .type: type.rawValue
        case .blockSize: UInt32(type.blockSize)
        case .bytesPerBlock: UInt32(type.bytesPerBlock)
        case .gridBytes: UInt32(grid.count)
        }
    }
}
