extension TensorType {
    /// Turns tensor data of one byte order into that of the other, in place.
    ///
    /// Throws `GGUFError` for types whose data is not defined in both orders.
    public func swapBytes(_ bytes: UnsafeMutableRawBufferPointer) throws {
        guard let numbers = layout.numbers else {
            throw GGUFError(reason: "the byte order of \(name) data cannot be changed")
        }
        for run in numbers {
            switch run.width {
            case 2: swap(UInt16.self, run, in: bytes)
            case 4: swap(UInt32.self, run, in: bytes)
            default: swap(UInt64.self, run, in: bytes)
            }
        }
    }

    private func swap<T: FixedWidthInteger>(
        _: T.Type, _ run: BlockLayout.Numbers, in bytes: UnsafeMutableRawBufferPointer
    ) {
        let step = bytesPerBlock
        for block in stride(from: run.offset, to: bytes.count, by: step) {
            for position in stride(from: block, to: block + run.count * run.width, by: run.width) {
                let value = bytes.loadUnaligned(fromByteOffset: position, as: T.self)
                bytes.storeBytes(of: value.byteSwapped, toByteOffset: position, as: T.self)
            }
        }
    }
}
