/// Blocks of 32 elements: a scale in binary16, then 32 signed bytes; an element is scale × byte.
///
/// The scale is the largest magnitude / 127; elements are divided by the unrounded scale and rounded to
/// nearest, ties away from zero. Source: `block_q8_0` of ggml, `gguf.quants.Q8_0`.
enum Q8_0 {
    private static let size = TensorType.q8_0.blockSize
    private static let stride = TensorType.q8_0.bytesPerBlock

    static func decode(_ bytes: UnsafeRawBufferPointer, into values: UnsafeMutableBufferPointer<Float>) {
        guard var block = bytes.baseAddress, var target = values.baseAddress else { return }
        for _ in 0..<values.count / size {
            let scale = HalfPrecision.float(block.loadUnaligned(as: UInt16.self))
            let quants = (block + 2).assumingMemoryBound(to: Int8.self)
            for index in 0..<size { target[index] = Float(quants[index]) * scale }
            block += stride
            target += size
        }
    }

    static func encode(_ values: UnsafeBufferPointer<Float>, into bytes: UnsafeMutableRawBufferPointer) {
        guard var source = values.baseAddress, var block = bytes.baseAddress else { return }
        for _ in 0..<values.count / size {
            let scale = magnitude(of: source) / 127
            let inverse = scale == 0 ? 0 : 1 / scale
            block.storeBytes(of: HalfPrecision.bits(scale), as: UInt16.self)
            let quants = (block + 2).assumingMemoryBound(to: Int8.self)
            if inverse.isFinite && scale.isFinite {
                for index in 0..<size { quants[index] = rounded(source[index] * inverse) }
            } else {
                // Every product is 0, infinite or not a number, which the package turns into 0.
                for index in 0..<size { quants[index] = 0 }
            }
            block += stride
            source += size
        }
    }

    /// The largest magnitude in a block; NaN where one element is.
    private static func magnitude(of block: UnsafePointer<Float>) -> Float {
        // Compared as integers, magnitudes keep their order and every NaN comes last.
        var largest: UInt32 = 0
        for index in 0..<size { largest = max(largest, block[index].bitPattern & 0x7fff_ffff) }
        return Float(bitPattern: largest)
    }

    /// The nearest integer, ties away from zero, of a value within ±127.5.
    @inline(__always)
    private static func rounded(_ value: Float) -> Int8 {
        // The sum has no bits for a fraction, so it rounds, ties to even; its last bits are the integer.
        let shift: Float = 0x1.8p23
        let even = (value + shift) - shift
        let rest = value - even
        let away: Float = (rest == 0.5 && value > 0 ? 1 : 0) - (rest == -0.5 && value < 0 ? 1 : 0)
        return Int8(truncatingIfNeeded: (even + away + shift).bitPattern)
    }
}
