import CQuants

extension TensorType {
    /// Encodes elements as tensor data.
    ///
    /// Where the `gguf` Python package can encode the type, the bytes are its; for Q1_0, Q2_0, Q8_1 and NVFP4 they are
    /// ggml's. The others are encoded for the least squared error of each block, no element weighing more than others;
    /// the bytes are the same on every platform. The data may start at any address and must be as long as the elements
    /// need. Floats are rounded to nearest, ties to even; integer types take whole numbers within their range only.
    /// Throws `GGUFError` where the sizes do not match, a number does not fit, or data of the type is not defined in
    /// the byte order.
    public func encode(
        _ values: UnsafeBufferPointer<Float>, order: ByteOrder = .little, into bytes: UnsafeMutableRawBufferPointer
    ) throws {
        try checkSizes(bytes: bytes.count, elements: values.count)
        switch self {
        case .f64: convert(values, bytes) { Double($0).bitPattern }
        case .f32: convert(values, bytes) { $0.bitPattern }
        case .f16: convert(values, bytes) { HalfPrecision.bits($0) }
        case .bf16: convert(values, bytes) { HalfPrecision.brainBits($0) }
        case .i8: try convert(values, bytes) { try whole($0, Int8.self) }
        case .i16: try convert(values, bytes) { try whole($0, Int16.self) }
        case .i32: try convert(values, bytes) { try whole($0, Int32.self) }
        case .i64: try convert(values, bytes) { try whole($0, Int64.self) }
        default:
            guard let source = values.baseAddress, let target = bytes.baseAddress else { return }
            quants_encode(rawValue, source, target, values.count)
        }
        if order != .little { try swapBytes(bytes) }
    }

    private func whole<T: FixedWidthInteger>(_ value: Float, _: T.Type) throws -> T {
        guard let number = T(exactly: value) else {
            throw GGUFError(reason: "\(value) cannot be encoded as \(name)")
        }
        return number
    }

    @inline(__always)
    private func convert<Stored: FixedWidthInteger>(
        _ values: UnsafeBufferPointer<Float>, _ bytes: UnsafeMutableRawBufferPointer,
        _ stored: (Float) throws -> Stored
    ) rethrows {
        for index in 0..<values.count {
            let offset = index &* MemoryLayout<Stored>.stride
            bytes.storeBytes(of: try stored(values[index]).littleEndian, toByteOffset: offset, as: Stored.self)
        }
    }
}
