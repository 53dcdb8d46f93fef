/// Conversions between float32 and the 16-bit formats, in integer arithmetic: the same bits on every platform.
public enum HalfPrecision {
    /// IEEE 754 binary16, rounded to nearest, ties to even, as NumPy does; NaN keeps its upper payload.
    @inlinable
    public static func bits(_ value: Float) -> UInt16 {
        let bits = value.bitPattern
        let sign = UInt16(truncatingIfNeeded: bits >> 16) & 0x8000
        let magnitude = bits & 0x7FFF_FFFF
        if magnitude >= 0x7F80_0000 {
            guard magnitude > 0x7F80_0000 else { return sign | 0x7C00 }
            let payload = UInt16(truncatingIfNeeded: magnitude >> 13) & 0x03FF
            return sign | 0x7C00 | (payload == 0 ? 1 : payload)
        }
        if magnitude >= 0x4780_0000 { return sign | 0x7C00 }
        if magnitude >= 0x3880_0000 {
            // Normal: drop 13 bits; a carry out of the significand raises the exponent, as it should.
            let rounded = magnitude &+ 0x0FFF &+ ((magnitude >> 13) & 1)
            return sign | UInt16(truncatingIfNeeded: (rounded &- 0x3800_0000) >> 13)
        }
        if magnitude < 0x3300_0000 { return sign }
        // Subnormal: the significand with its hidden bit, in units of 2⁻²⁴.
        let shift = 126 &- (magnitude >> 23)
        let significand = (magnitude & 0x007F_FFFF) | 0x0080_0000
        let kept = significand >> shift
        let rest = significand & ((1 << shift) &- 1)
        let half = UInt32(1) << (shift &- 1)
        let up: UInt32 = rest > half || (rest == half && kept & 1 == 1) ? 1 : 0
        return sign | UInt16(truncatingIfNeeded: kept &+ up)
    }

    /// Exact.
    @inlinable
    public static func float(_ half: UInt16) -> Float {
        let sign = UInt32(half & 0x8000) << 16
        let magnitude = UInt32(half & 0x7FFF)
        if magnitude >= 0x7C00 { return Float(bitPattern: sign | 0x7F80_0000 | (magnitude & 0x03FF) << 13) }
        if magnitude >= 0x0400 { return Float(bitPattern: sign | (magnitude << 13) &+ 0x3800_0000) }
        let value = Float(magnitude) * 0x1p-24
        return sign == 0 ? value : -value
    }

    /// The value nearest to `value` that half precision has.
    @inlinable
    public static func rounded(_ value: Float) -> Float { float(bits(value)) }

    /// bfloat16, rounded to nearest, ties to even; NaN becomes quiet.
    @inlinable
    public static func brainBits(_ value: Float) -> UInt16 {
        var bits = value.bitPattern
        if bits & 0x7FFF_FFFF > 0x7F80_0000 { return UInt16(truncatingIfNeeded: bits >> 16) | 64 }
        bits = bits &+ 0x7FFF &+ ((bits >> 16) & 1)
        return UInt16(truncatingIfNeeded: bits >> 16)
    }

    @inlinable
    public static func brainFloat(_ brain: UInt16) -> Float { Float(bitPattern: UInt32(brain) << 16) }
}
