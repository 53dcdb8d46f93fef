extension TensorType {
    /// Where the numbers of more than one byte lie in a block; nil where the peers do not agree on it,
    /// as for blocks whose bytes are read now one by one and now as wider numbers.
    private var wideFields: (width: Int, offsets: [Int])? {
        switch self {
        case .i8, .mxfp4, .nvfp4: (1, [])
        case .f16, .bf16, .i16: (2, [0])
        case .f32, .i32: (4, [0])
        case .f64, .i64: (8, [0])
        case .q1_0, .q4_0, .q8_0: (2, [0])
        case .q4_K: (2, [0, 2])
        case .q6_K: (2, [208])
        case .tq2_0: (2, [64])
        default: nil
        }
    }

    /// Turns tensor data of one byte order into that of the other, in place.
    ///
    /// Throws `GGUFError` for types whose data is not defined in both orders.
    public func swapBytes(_ bytes: UnsafeMutableRawBufferPointer) throws {
        guard let (width, offsets) = wideFields else {
            throw GGUFError(reason: "the byte order of \(name) data cannot be changed")
        }
        switch width {
        case 2: swap(UInt16.self, at: offsets, in: bytes)
        case 4: swap(UInt32.self, at: offsets, in: bytes)
        case 8: swap(UInt64.self, at: offsets, in: bytes)
        default: break
        }
    }

    private func swap<T: FixedWidthInteger>(_: T.Type, at offsets: [Int], in bytes: UnsafeMutableRawBufferPointer) {
        let stride = bytesPerBlock
        for offset in offsets {
            for position in Swift.stride(from: offset, to: bytes.count, by: stride) {
                let value = bytes.loadUnaligned(fromByteOffset: position, as: T.self)
                bytes.storeBytes(of: value.byteSwapped, toByteOffset: position, as: T.self)
            }
        }
    }
}
