import CQuants

extension TensorType {
    /// Decodes tensor data as the `gguf` Python package does, bit for bit; the few types that it does not know, as
    /// ggml.
    ///
    /// The data may start at any address and must be as long as the elements need; `order` is that of every
    /// number in it, scales of blocks included. F64, I32 and I64 are rounded to the nearest float. Throws
    /// `GGUFError` where the sizes do not match, or data of the type is not defined in that order.
    public func decode(
        _ bytes: UnsafeRawBufferPointer, order: ByteOrder = .little, into values: UnsafeMutableBufferPointer<Float>
    ) throws {
        try withLittleEndian(bytes, order, elements: values.count) { bytes in
            guard let source = bytes.baseAddress, let target = values.baseAddress else { return }
            quants_decode(rawValue, source, target, values.count)
        }
    }

    /// Decodes tensor data into doubles: F64 and I32 exactly, I64 rounded; for the others, what `Float` makes of it.
    public func decode(
        _ bytes: UnsafeRawBufferPointer, order: ByteOrder = .little, into values: UnsafeMutableBufferPointer<Double>
    ) throws {
        try withLittleEndian(bytes, order, elements: values.count) { bytes in
            guard let source = bytes.baseAddress, let target = values.baseAddress else { return }
            quants_decode_doubles(rawValue, source, target, values.count)
        }
    }

    /// Hands on data that has the right size and little-endian order.
    private func withLittleEndian(
        _ bytes: UnsafeRawBufferPointer, _ order: ByteOrder, elements: Int,
        _ body: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        try checkSizes(bytes: bytes.count, elements: elements)
        if order == .little { return try body(bytes) }
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
}
