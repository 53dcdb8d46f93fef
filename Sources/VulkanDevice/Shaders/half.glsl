// IEEE half precision, round to nearest even, as single; by integers, since the rounding of
// packHalf2x16 is the implementation's choice.
float rounded_to_half(float x) {
    uint bits = floatBitsToUint(x);
    uint magnitude = bits & 0x7fffffffu, sign_bit = bits & 0x80000000u;
    if (magnitude > 0x7f800000u) return x;
    if (magnitude < 0x38800000u) {
        // Subnormal halves are multiples of 2⁻²⁴; adding half a unit's worth of the first single whose
        // unit is 2⁻²⁴ rounds to them.
        float multiple = (abs(x) * 16777216.0);
        return uintBitsToFloat(floatBitsToUint(roundEven(multiple) * 5.9604644775390625e-8) | sign_bit);
    }
    uint rounded = magnitude + 0xfffu + (magnitude >> 13 & 1u) & 0xffffe000u;
    return uintBitsToFloat((rounded >= 0x47800000u ? 0x7f800000u : rounded) | sign_bit);
}
