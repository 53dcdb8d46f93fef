/// Blocks of 32 elements: a scale in binary16, then 16 bytes, whose low halves are the first 16
/// elements and whose high halves the last; an element is scale × (half byte − 8).
///
/// The scale is the first element of the largest magnitude / −8; elements are divided by the unrounded
/// scale, raised by 8.5 and cut to 0...15. Source: `block_q4_0` of ggml, `gguf.quants.Q4_0`.
enum Q4_0 {
    private static let half = TensorType.q4_0.blockSize / 2
    private static let stride = TensorType.q4_0.bytesPerBlock

    static func decode(_ bytes: UnsafeRawBufferPointer, into values: UnsafeMutableBufferPointer<Float>) {
        guard var block = bytes.baseAddress, var target = values.baseAddress else { return }
        for _ in 0..<values.count / (2 * half) {
            let scale = HalfPrecision.float(block.loadUnaligned(as: UInt16.self))
            let quants = (block + 2).assumingMemoryBound(to: UInt8.self)
            for index in 0..<half {
                target[index] = scale * Float(Int32(quants[index] & 15) &- 8)
                target[index + half] = scale * Float(Int32(quants[index] >> 4) &- 8)
            }
            block += stride
            target += 2 * half
        }
    }

    static func encode(_ values: UnsafeBufferPointer<Float>, into bytes: UnsafeMutableRawBufferPointer) {
        guard var source = values.baseAddress, var block = bytes.baseAddress else { return }
        for _ in 0..<values.count / (2 * half) {
            let scale = extreme(of: source) / -8
            let inverse = scale == 0 ? 0 : 1 / scale
            block.storeBytes(of: HalfPrecision.bits(scale), as: UInt16.self)
            let quants = (block + 2).assumingMemoryBound(to: UInt8.self)
            for index in 0..<half {
                quants[index] = quant(source[index] * inverse) | quant(source[index + half] * inverse) << 4
            }
            block += stride
            source += 2 * half
        }
    }

    /// The first element of the largest magnitude; the first NaN where there is one.
    private static func extreme(of block: UnsafePointer<Float>) -> Float {
        var result = block[0]
        for index in 1..<2 * half {
            if result.isNaN { break }
            if !(abs(block[index]) <= abs(result)) { result = block[index] }
        }
        return result
    }

    /// The half byte of an element in units of the scale, which lies within ±8 or is not finite.
    @inline(__always)
    private static func quant(_ value: Float) -> UInt8 {
        let raised = value + 8.5
        // The package turns what is not finite into 0.
        guard raised.isFinite else { return 0 }
        return min(UInt8(truncatingIfNeeded: Int32(raised)), 15)
    }
}
