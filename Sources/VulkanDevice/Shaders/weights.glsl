// Elements of a weight in its own type. Blocks need not begin at a word, so bytes are picked from words; how they lie
// in a block is said in CQuants. In types whose blocks hold indices into a grid, the grid lies in front of the blocks,
// 16 bits an entry.
// The including shader declares `uint weight[]` as a buffer and, before that, includes weight_types.glsl.

uint byte_at(uint i) { return weight[i >> 2] >> ((i & 3) * 8) & 0xffu; }
int signed_at(uint i) { return int(byte_at(i) << 24) >> 24; }
// At an even byte.
uint half_bits_at(uint i) { return weight[i >> 2] >> ((i & 2) * 8) & 0xffffu; }
uint word_at(uint i) { return half_bits_at(i) | half_bits_at(i + 2) << 16; }

// IEEE half to single, exact: unpackHalf2x16 may flush subnormals.
float half_value(uint h) {
    uint magnitude = h & 0x7fffu;
    float x = uintBitsToFloat((magnitude << 13) + (112u << 23));
    if (magnitude < 0x0400u) x = float(magnitude) * 5.9604644775390625e-8;
    if (magnitude >= 0x7c00u) x = uintBitsToFloat((magnitude << 13) + (224u << 23));
    return (h & 0x8000u) != 0 ? -x : x;
}
float half_at(uint i) { return half_value(half_bits_at(i)); }

// Element `i` of `size` bytes from `start` on that hold pairs of numbers, the second half above the first.
uint nibble(uint start, uint i, uint size) { return byte_at(start + i % size) >> (i / size % 2 * 4) & 15u; }

// Two bits of element `i` of 256: byte 32c + j has elements 128c + j, j + 32, j + 64 and j + 96.
uint pair_of_bits(uint start, uint i) { return byte_at(start + i / 128 * 32 + i % 32) >> (i % 128 / 32 * 2) & 3u; }

// Six bits of a scale (0) or minimum (4) of Q4_K and Q5_K.
uint six_bits(uint scales, uint group, uint which) {
    if (group < 4) return byte_at(scales + group + which) & 63u;
    return (byte_at(scales + group + 4) >> which & 15u) | byte_at(scales + group - 4 + which) >> 6 << 4;
}

int ternary(uint bits, uint place) {
    const uint powers[5] = uint[](1, 3, 9, 27, 81);
    return int((bits * powers[place] & 255u) * 3 >> 8) - 1;
}

// Digits of an index's combination in the grid.
uint digit_of_8(uint index, uint i) { return half_bits_at(2 * index) >> (2 * i) & 3u; }
uint digit_of_4(uint index, uint i) { return half_bits_at(2 * index) >> (3 * i) & 7u; }
// 8, 25 or 43.
float level_of_2(uint index, uint i) {
    uint digit = digit_of_8(index, i);
    return digit == 0 ? 8.0 : digit == 1 ? 25.0 : 43.0;
}
// The eighth of seven signs makes their number even.
float even_sign(uint signs, uint i) {
    uint bit = i < 7 ? signs >> i : uint(bitCount(signs & 127u));
    return (bit & 1u) != 0 ? -1.0 : 1.0;
}
float bit_sign(uint bits, uint i) { return (bits >> i & 1u) != 0 ? -1.0 : 1.0; }

float table_of_iq4(uint number) {
    const int values[16] = int[](-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);
    return float(values[number]);
}
// Twice an E2M1 number.
float table_of_fp4(uint number) {
    uint size = number & 7u;
    if (size > 1) size = (2u + (size & 1u)) << (size / 2 - 1);
    return number < 8 ? float(size) : -float(size);
}
// Half an E4M3 number.
float half_of_e4m3(uint bits) {
    if (bits == 0x7fu) return 0.0;
    uint exponent = bits >> 3 & 15u, mantissa = bits & 7u;
    if (exponent == 0) return float(mantissa) * 0.0009765625;
    return uintBitsToFloat(exponent + 119u << 23 | mantissa << 20);
}

// Element `i` of the block at byte `b`.
float block_value(uint b, uint i) {
    uint group = i / 32, eight = i / 8, of_8 = i % 8;
    switch (TYPE) {
    case TYPE_Q1_0: return half_at(b) * -bit_sign(byte_at(b + 2 + eight), of_8);
    case TYPE_Q2_0: return half_at(b) * float(int(byte_at(b + 2 + i / 4) >> (i % 4 * 2) & 3u) - 1);
    case TYPE_Q4_0: return half_at(b) * float(int(nibble(b + 2, i, 16)) - 8);
    case TYPE_Q4_1: return half_at(b) * float(nibble(b + 4, i, 16)) + half_at(b + 2);
    case TYPE_Q5_0: return half_at(b) * float(int(nibble(b + 6, i, 16) | (word_at(b + 2) >> i & 1u) << 4) - 16);
    case TYPE_Q5_1: return half_at(b) * float(nibble(b + 8, i, 16) | (word_at(b + 4) >> i & 1u) << 4) + half_at(b + 2);
    case TYPE_Q8_0: return half_at(b) * float(signed_at(b + 2 + i));
    case TYPE_Q8_1: return half_at(b) * float(signed_at(b + 4 + i));
    case TYPE_Q8_K: return uintBitsToFloat(word_at(b)) * float(signed_at(b + 4 + i));
    case TYPE_TQ2_0: return half_at(b + 64) * float(int(pair_of_bits(b, i)) - 1);
    case TYPE_IQ4_NL: return half_at(b) * table_of_iq4(nibble(b + 2, i, 16));
    case TYPE_MXFP4: {
        uint exponent = byte_at(b);
        float scale = uintBitsToFloat(exponent < 2 ? 0x00200000u << exponent : exponent - 1 << 23);
        return scale * table_of_fp4(nibble(b + 1, i, 16));
    }
    case TYPE_NVFP4: return half_of_e4m3(byte_at(b + i / 16)) * table_of_fp4(nibble(b + 4 + i / 16 * 8, i % 16, 8));
    case TYPE_Q2_K: {
        uint scales = byte_at(b + i / 16);
        float minimum = half_at(b + 82) * float(scales >> 4);
        return half_at(b + 80) * float(scales & 15u) * float(pair_of_bits(b + 16, i)) - minimum;
    }
    case TYPE_Q3_K: {
        uint of_16 = i / 16;
        uint low = byte_at(b + 96 + of_16 % 8) >> (of_16 / 8 * 4) & 15u;
        uint high = byte_at(b + 104 + of_16 % 4) >> (of_16 / 4 * 2) & 3u;
        float scale = half_at(b + 108) * float(int(low | high << 4) - 32);
        return scale * float(int(pair_of_bits(b + 32, i) | (byte_at(b + i % 32) >> group & 1u) << 2) - 4);
    }
    case TYPE_Q4_K: {
        float minimum = half_at(b + 2) * float(six_bits(b + 4, group, 4));
        uint number = nibble(b + 16 + i / 64 * 32, i % 64, 32);
        return half_at(b) * float(six_bits(b + 4, group, 0)) * float(number) - minimum;
    }
    case TYPE_Q5_K: {
        float minimum = half_at(b + 2) * float(six_bits(b + 4, group, 4));
        uint number = nibble(b + 48 + i / 64 * 32, i % 64, 32) | (byte_at(b + 16 + i % 32) >> group & 1u) << 4;
        return half_at(b) * float(six_bits(b + 4, group, 0)) * float(number) - minimum;
    }
    case TYPE_Q6_K: {
        uint low = nibble(b + i / 128 * 64, i % 128, 64), high = pair_of_bits(b + 128, i);
        return half_at(b + 208) * float(signed_at(b + 192 + i / 16)) * float(int(low | high << 4) - 32);
    }
    case TYPE_TQ1_0: {
        int digit;
        if (i < 160) digit = ternary(byte_at(b + i % 32), group);
        else if (i < 240) digit = ternary(byte_at(b + 32 + i % 16), (i - 160) / 16);
        else digit = ternary(byte_at(b + 48 + i % 4), (i - 240) / 4);
        return half_at(b + 52) * float(digit);
    }
    case TYPE_IQ4_XS: {
        uint low = byte_at(b + 4 + group / 2) >> (group % 2 * 4) & 15u, high = half_bits_at(b + 2) >> (2 * group) & 3u;
        return half_at(b) * float(int(low | high << 4) - 32) * table_of_iq4(nibble(b + 8 + 16 * group, i % 32, 16));
    }
    case TYPE_IQ2_XXS: {
        uint signs = word_at(b + 6 + group * 8), index = byte_at(b + 2 + group * 8 + eight % 4);
        float scale = half_at(b) * (0.5 + float(signs >> 28)) * 0.25;
        return scale * level_of_2(index, of_8) * even_sign(signs >> (eight % 4 * 7), of_8);
    }
    case TYPE_IQ2_XS: {
        uint number = half_bits_at(b + 2 + 2 * eight);
        float scale = half_at(b) * (0.5 + float(byte_at(b + 66 + group) >> (i % 32 / 16 * 4) & 15u)) * 0.25;
        return scale * level_of_2(number & 511u, of_8) * even_sign(number >> 9, of_8);
    }
    case TYPE_IQ2_S: {
        uint index = byte_at(b + 2 + eight) | (byte_at(b + 66 + group) >> (eight % 4 * 2) & 3u) << 8;
        float scale = half_at(b) * (0.5 + float(byte_at(b + 74 + group) >> (i % 32 / 16 * 4) & 15u)) * 0.25;
        return scale * level_of_2(index, of_8) * bit_sign(byte_at(b + 34 + eight), of_8);
    }
    case TYPE_IQ3_XXS: {
        uint signs = word_at(b + 66 + 4 * group), digit = digit_of_4(byte_at(b + 2 + i / 4), i % 4);
        float scale = half_at(b) * (0.5 + float(signs >> 28)) * 0.5;
        return scale * (digit == 7 ? 62.0 : float(4 + 8 * digit)) * even_sign(signs >> (eight % 4 * 7), of_8);
    }
    case TYPE_IQ3_S: {
        uint index = byte_at(b + 2 + i / 4) | (byte_at(b + 66 + group) >> (i / 4 % 8) & 1u) << 8;
        float scale = half_at(b) * float(1 + 2 * (byte_at(b + 106 + i / 64) >> (group % 2 * 4) & 15u));
        return scale * float(2 * digit_of_4(index, i % 4) + 1) * bit_sign(byte_at(b + 74 + eight), of_8);
    }
    case TYPE_IQ1_S: {
        uint high = half_bits_at(b + 34 + 2 * group);
        uint index = byte_at(b + 2 + eight) | (high >> (eight % 4 * 3) & 7u) << 8;
        float scale = half_at(b) * float(2 * (high >> 12 & 7u) + 1);
        return scale * (float(int(digit_of_8(index, of_8)) - 1) + 0.125 * bit_sign(high, 15));
    }
    case TYPE_IQ1_M: {
        uint bits = 0;
        for (uint j = 0; j < 4; j++) bits |= half_bits_at(b + 48 + 2 * j) >> 12 << (4 * j);
        uint high = byte_at(b + 32 + eight / 2) >> (eight % 2 * 4);
        uint index = byte_at(b + eight) | (high & 7u) << 8;
        float scale = half_value(bits) * float(2 * (half_bits_at(b + 48 + i / 64 * 2) >> (i % 64 / 16 * 3) & 7u) + 1);
        return scale * (float(int(digit_of_8(index, of_8)) - 1) + 0.125 * bit_sign(high, 3));
    }
    }
    return 0.0;
}

// Element `column` of row `row`, of rows of `columns` elements.
float weight_value(uint row, uint column, uint columns) {
    uint i = row * columns + column;
    if (TYPE == TYPE_F32) return uintBitsToFloat(weight[i]);
    if (TYPE == TYPE_F16) return half_at(i * 2);
    if (TYPE == TYPE_BF16) return uintBitsToFloat(half_bits_at(i * 2) << 16);
    return block_value(GRID_BYTES + i / BLOCK_SIZE * BLOCK_BYTES, i % BLOCK_SIZE);
}
