extension TensorType {
    /// Whether `encode` knows this type.
    public var canEncode: Bool { canDecode }

    /// Encodes elements as tensor data, as the `gguf` Python package does, bit for bit.
    ///
    /// The data may start at any address and must be as long as the elements need. Floats are rounded to
    /// nearest, ties to even; integer types take whole numbers within their range only. Throws `GGUFError`
    /// where the sizes do not match, a number does not fit, or the type cannot be encoded.
    public func encode(
        _ values: UnsafeBufferPointer<Float>, order: ByteOrder = .little, into bytes: UnsafeMutableRawBufferPointer
    ) throws {
        try checkSizes(bytes: bytes.count, elements: values.count)
        switch self {
        case .f64: convert(values, bytes) { Double($0) }
        case .f32: bytes.copyMemory(from: UnsafeRawBufferPointer(values))
        case .f16: convert(values, bytes) { HalfPrecision.bits($0) }
        case .bf16: convert(values, bytes) { HalfPrecision.brainBits($0) }
        case .i8: try convert(values, bytes) { try whole($0, Int8.self) }
        case .i16: try convert(values, bytes) { try whole($0, Int16.self) }
        case .i32: try convert(values, bytes) { try whole($0, Int32.self) }
        case .i64: try convert(values, bytes) { try whole($0, Int64.self) }
        case .q8_0: Q8_0.encode(values, into: bytes)
        case .q4_0: Q4_0.encode(values, into: bytes)
        default: throw GGUFError(reason: "data cannot be encoded as \(name)")
        }
        if order != .host { try swapBytes(bytes) }
    }

    private func whole<T: FixedWidthInteger>(_ value: Float, _: T.Type) throws -> T {
        guard let number = T(exactly: value) else {
            throw GGUFError(reason: "\(value) cannot be encoded as \(name)")
        }
        return number
    }

    @inline(__always)
    private func convert<Stored>(
        _ values: UnsafeBufferPointer<Float>, _ bytes: UnsafeMutableRawBufferPointer,
        _ stored: (Float) throws -> Stored
    ) rethrows {
        for index in 0..<values.count {
            let offset = index &* MemoryLayout<Stored>.stride
            bytes.storeBytes(of: try stored(values[index]), toByteOffset: offset, as: Stored.self)
        }
    }
}
