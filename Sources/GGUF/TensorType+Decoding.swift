extension TensorType {
    /// Whether `decode` knows this type.
    public var canDecode: Bool {
        switch self {
        case .f64, .f32, .f16, .bf16, .i8, .i16, .i32, .i64, .q8_0, .q4_0: true
        default: false
        }
    }

    /// Decodes tensor data as the `gguf` Python package does, bit for bit.
    ///
    /// The data may start at any address and must be as long as the elements need; `order` is that of every
    /// number in it, scales of blocks included. F64, I32 and I64 are rounded to the nearest float. Throws
    /// `GGUFError` where the sizes do not match or the type cannot be decoded.
    public func decode(
        _ bytes: UnsafeRawBufferPointer, order: ByteOrder = .little, into values: UnsafeMutableBufferPointer<Float>
    ) throws {
        try withHostBytes(bytes, order, elements: values.count) { bytes in
            switch self {
            case .f64: convert(bytes, values) { (bits: UInt64) in Float(Double(bitPattern: bits)) }
            case .f32: UnsafeMutableRawBufferPointer(values).copyMemory(from: bytes)
            case .f16: convert(bytes, values) { HalfPrecision.float($0) }
            case .bf16: convert(bytes, values) { HalfPrecision.brainFloat($0) }
            case .i8: convert(bytes, values) { (number: Int8) in Float(number) }
            case .i16: convert(bytes, values) { (number: Int16) in Float(number) }
            case .i32: convert(bytes, values) { (number: Int32) in Float(number) }
            case .i64: convert(bytes, values) { (number: Int64) in Float(number) }
            case .q8_0: Q8_0.decode(bytes, into: values)
            case .q4_0: Q4_0.decode(bytes, into: values)
            default: throw GGUFError(reason: "\(name) data cannot be decoded")
            }
        }
    }

    /// Decodes tensor data into doubles. Only I64 can be rounded: a block's scale times its quantised value
    /// is exact even in `Float`.
    public func decode(
        _ bytes: UnsafeRawBufferPointer, order: ByteOrder = .little, into values: UnsafeMutableBufferPointer<Double>
    ) throws {
        try withHostBytes(bytes, order, elements: values.count) { bytes in
            switch self {
            case .f64: UnsafeMutableRawBufferPointer(values).copyMemory(from: bytes)
            case .i32: convert(bytes, values) { (number: Int32) in Double(number) }
            case .i64: convert(bytes, values) { (number: Int64) in Double(number) }
            default:
                try withUnsafeTemporaryAllocation(of: Float.self, capacity: values.count) { floats in
                    try decode(bytes, order: .host, into: floats)
                    for index in 0..<values.count { values[index] = Double(floats[index]) }
                }
            }
        }
    }

    /// Hands on data that has the right size and the byte order of this machine.
    private func withHostBytes(
        _ bytes: UnsafeRawBufferPointer, _ order: ByteOrder, elements: Int,
        _ body: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        try checkSizes(bytes: bytes.count, elements: elements)
        if order == .host { return try body(bytes) }
        try withUnsafeTemporaryAllocation(byteCount: bytes.count, alignment: 16) { copy in
            copy.copyMemory(from: bytes)
            try swapBytes(copy)
            try body(UnsafeRawBufferPointer(copy))
        }
    }

    func checkSizes(bytes: Int, elements: Int) throws {
        guard byteCount(elements: elements) == bytes else {
            throw GGUFError(reason: "\(bytes) bytes of \(name) data do not make \(elements) elements")
        }
    }

    @inline(__always)
    private func convert<Stored, Value>(
        _ bytes: UnsafeRawBufferPointer, _ values: UnsafeMutableBufferPointer<Value>, _ value: (Stored) -> Value
    ) {
        for index in 0..<values.count {
            let offset = index &* MemoryLayout<Stored>.stride
            values[index] = value(bytes.loadUnaligned(fromByteOffset: offset, as: Stored.self))
        }
    }
}
