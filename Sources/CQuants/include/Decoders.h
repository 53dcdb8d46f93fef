// One decoder for each type of tensor data, for the instruction set of the file that includes this.
//
// Elements are a block's numbers times its scales, sometimes plus a minimum. Scales have so few bits that every
// product is exact, so that it does not matter whether a compiler fuses it with the addition.
#pragma once

#include "Blocks.h"
#include <string.h>

#define DECODER static inline __attribute__((always_inline))

DECODER uint16_t value16(Little16 n) { return (uint16_t)(n.bytes[0] | n.bytes[1] << 8); }
DECODER uint32_t value32(Little32 n) {
    return (uint32_t)n.bytes[0] | (uint32_t)n.bytes[1] << 8 | (uint32_t)n.bytes[2] << 16 | (uint32_t)n.bytes[3] << 24;
}
DECODER float float_of_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

/// Exact for every half: the exponent is rebiased by a multiplication, which also normalises subnormals.
DECODER float value_of_half_bits(uint32_t half) {
    const float scaled = float_of_bits((half & 0x7fffu) << 13) * 0x1p112f;
    uint32_t bits;
    memcpy(&bits, &scaled, 4);
    if ((half & 0x7c00u) == 0x7c00u) bits |= 0x7f800000u;
    return float_of_bits(bits | (half & 0x8000u) << 16);
}
DECODER float value_of(LittleHalf half) { return value_of_half_bits((uint32_t)(half.bytes[0] | half.bytes[1] << 8)); }

/// Expanded grids: the values of an index, one after the other.
extern int8_t quants_iq1_values[2048][8], quants_iq2_xxs_values[256][8], quants_iq2_xs_values[512][8],
    quants_iq2_s_values[1024][8], quants_iq3_xxs_values[256][4], quants_iq3_s_values[512][4];
/// Of IQ4_NL and IQ4_XS.
extern const int8_t quants_iq4_values[16];
/// Of MXFP4 and NVFP4: twice those of E2M1.
extern const int8_t quants_fp4_values[16];
/// For seven signs, all eight as ±1.
extern int8_t quants_even_signs[128][8];

// MARK: Blocks with one scale

DECODER void decode_block_q1_0(const BlockQ1_0 *restrict b, float *restrict y) {
    const float scale = value_of(b->scale);
    for (int i = 0; i < 16; i++) {
        for (int j = 0; j < 8; j++) y[8 * i + j] = b->quants[i] >> j & 1 ? scale : -scale;
    }
}

DECODER void decode_block_q2_0(const BlockQ2_0 *restrict b, float *restrict y) {
    const float scale = value_of(b->scale);
    for (int i = 0; i < 16; i++) {
        for (int j = 0; j < 4; j++) y[4 * i + j] = scale * (float)((b->quants[i] >> 2 * j & 3) - 1);
    }
}

DECODER void decode_block_q4_0(const BlockQ4_0 *restrict b, float *restrict y) {
    const float scale = value_of(b->scale);
    for (int i = 0; i < 16; i++) {
        y[i] = scale * (float)((b->quants[i] & 15) - 8);
        y[i + 16] = scale * (float)((b->quants[i] >> 4) - 8);
    }
}

DECODER void decode_block_q4_1(const BlockQ4_1 *restrict b, float *restrict y) {
    const float scale = value_of(b->scale), minimum = value_of(b->minimum);
    for (int i = 0; i < 16; i++) {
        y[i] = scale * (float)(b->quants[i] & 15) + minimum;
        y[i + 16] = scale * (float)(b->quants[i] >> 4) + minimum;
    }
}

DECODER void decode_block_q5_0(const BlockQ5_0 *restrict b, float *restrict y) {
    const float scale = value_of(b->scale);
    const uint32_t fifths = value32(b->fifths);
    for (int i = 0; i < 16; i++) {
        y[i] = scale * (float)((int)((b->quants[i] & 15u) | (fifths >> i & 1) << 4) - 16);
        y[i + 16] = scale * (float)((int)((uint32_t)b->quants[i] >> 4 | (fifths >> (i + 16) & 1) << 4) - 16);
    }
}

DECODER void decode_block_q5_1(const BlockQ5_1 *restrict b, float *restrict y) {
    const float scale = value_of(b->scale), minimum = value_of(b->minimum);
    const uint32_t fifths = value32(b->fifths);
    for (int i = 0; i < 16; i++) {
        y[i] = scale * (float)(int)((b->quants[i] & 15u) | (fifths >> i & 1) << 4) + minimum;
        y[i + 16] = scale * (float)(int)((uint32_t)b->quants[i] >> 4 | (fifths >> (i + 16) & 1) << 4) + minimum;
    }
}

DECODER void decode_block_q8_0(const BlockQ8_0 *restrict b, float *restrict y) {
    const float scale = value_of(b->scale);
    for (int i = 0; i < 32; i++) y[i] = scale * (float)b->quants[i];
}

DECODER void decode_block_q8_1(const BlockQ8_1 *restrict b, float *restrict y) {
    const float scale = value_of(b->scale);
    for (int i = 0; i < 32; i++) y[i] = scale * (float)b->quants[i];
}

// MARK: Blocks of groups

DECODER void decode_block_q2_k(const BlockQ2_K *restrict b, float *restrict y) {
    const float scale = value_of(b->scale), minimum = value_of(b->minimum);
    for (int group = 0; group < 16; group++) {
        const float d = scale * (float)(b->scales[group] & 15), m = minimum * (float)(b->scales[group] >> 4);
        const uint8_t *quants = b->quants + group / 8 * 32 + group % 2 * 16;
        const int shift = group % 8 / 2 * 2;
        for (int i = 0; i < 16; i++) y[16 * group + i] = d * (float)(quants[i] >> shift & 3) - m;
    }
}

DECODER void decode_block_q3_k(const BlockQ3_K *restrict b, float *restrict y) {
    const float scale = value_of(b->scale);
    for (int group = 0; group < 16; group++) {
        const int low = b->scales[group % 8] >> group / 8 * 4 & 15;
        const int high = b->scales[8 + group % 4] >> group / 4 * 2 & 3;
        const float d = scale * (float)((low | high << 4) - 32);
        const int start = group % 2 * 16, shift = group % 8 / 2 * 2, bit = group / 2;
        const uint8_t *quants = b->quants + group / 8 * 32 + start, *third = b->high + start;
        for (int i = 0; i < 16; i++) {
            y[16 * group + i] = d * (float)((quants[i] >> shift & 3) + ((third[i] >> bit & 1) << 2) - 4);
        }
    }
}

/// Six bits of the scales (0) or minima (4) of a Q4_K or Q5_K block.
DECODER float six_bits(const uint8_t *scales, int group, int which) {
    if (group < 4) return (float)(scales[group + which] & 63);
    return (float)((which ? scales[group + 4] >> 4 : scales[group + 4] & 15) | scales[group - 4 + which] >> 6 << 4);
}

DECODER void decode_block_q4_k(const BlockQ4_K *restrict b, float *restrict y) {
    const float scale = value_of(b->scale), minimum = value_of(b->minimum);
    for (int group = 0; group < 8; group += 2) {
        const float d0 = scale * six_bits(b->scales, group, 0), m0 = minimum * six_bits(b->scales, group, 4);
        const float d1 = scale * six_bits(b->scales, group + 1, 0), m1 = minimum * six_bits(b->scales, group + 1, 4);
        const uint8_t *quants = b->quants + 16 * group;
        for (int i = 0; i < 32; i++) {
            y[32 * group + i] = d0 * (float)(quants[i] & 15) - m0;
            y[32 * group + 32 + i] = d1 * (float)(quants[i] >> 4) - m1;
        }
    }
}

DECODER void decode_block_q5_k(const BlockQ5_K *restrict b, float *restrict y) {
    const float scale = value_of(b->scale), minimum = value_of(b->minimum);
    for (int group = 0; group < 8; group++) {
        const float d = scale * six_bits(b->scales, group, 0), m = minimum * six_bits(b->scales, group, 4);
        const uint8_t *quants = b->quants + group / 2 * 32;
        const int shift = group % 2 * 4;
        for (int i = 0; i < 32; i++) {
            y[32 * group + i] = d * (float)((quants[i] >> shift & 15) | (b->high[i] >> group & 1) << 4) - m;
        }
    }
}

DECODER void decode_block_q6_k(const BlockQ6_K *restrict b, float *restrict y) {
    const float scale = value_of(b->scale);
    for (int group = 0; group < 16; group++) {
        const float d = scale * (float)b->scales[group];
        // Within the half: which 32 elements, and where the group starts among them.
        const int part = group % 8 / 2, start = group % 2 * 16;
        const uint8_t *low = b->low + group / 8 * 64 + part % 2 * 32 + start, *high = b->high + group / 8 * 32 + start;
        for (int i = 0; i < 16; i++) {
            y[16 * group + i] = d * (float)(((low[i] >> part / 2 * 4 & 15) | (high[i] >> part * 2 & 3) << 4) - 32);
        }
    }
}

DECODER void decode_block_q8_k(const BlockQ8_K *restrict b, float *restrict y) {
    const float scale = float_of_bits(value32(b->scale));
    for (int i = 0; i < 256; i++) y[i] = scale * (float)b->quants[i];
}

// MARK: Ternary

/// The digit of this place, the first on top, of a byte that holds a fraction of 256 in base 3.
DECODER float ternary(uint8_t byte, int place) {
    static const uint8_t powers[] = {1, 3, 9, 27, 81};
    return (float)(((uint8_t)(byte * powers[place]) * 3 >> 8) - 1);
}

DECODER void decode_block_tq1_0(const BlockTQ1_0 *restrict b, float *restrict y) {
    const float scale = value_of(b->scale);
    for (int j = 0; j < 5; j++) {
        for (int i = 0; i < 32; i++) y[32 * j + i] = scale * ternary(b->quants[i], j);
        for (int i = 0; i < 16; i++) y[160 + 16 * j + i] = scale * ternary(b->quants[32 + i], j);
    }
    for (int j = 0; j < 4; j++) {
        for (int i = 0; i < 4; i++) y[240 + 4 * j + i] = scale * ternary(b->last[i], j);
    }
}

DECODER void decode_block_tq2_0(const BlockTQ2_0 *restrict b, float *restrict y) {
    const float scale = value_of(b->scale);
    for (int part = 0; part < 8; part++) {
        const uint8_t *quants = b->quants + part / 4 * 32;
        for (int i = 0; i < 32; i++) y[32 * part + i] = scale * (float)((quants[i] >> part % 4 * 2 & 3) - 1);
    }
}

// MARK: Grids

/// Eight elements: an index's values with signs given as ±1.
DECODER void signed_values(float d, const int8_t *values, const int8_t *signs, float *restrict y) {
    for (int i = 0; i < 8; i++) y[i] = d * (float)(values[i] * signs[i]);
}
/// With signs given as bits.
DECODER void bit_signed_values(float d, const int8_t *values, int bits, float *restrict y) {
    for (int i = 0; i < 8; i++) y[i] = d * (float)(bits >> i & 1 ? -values[i] : values[i]);
}

DECODER void decode_block_iq2_xxs(const BlockIQ2_XXS *restrict b, float *restrict y) {
    const float scale = value_of(b->scale);
    for (int group = 0; group < 8; group++) {
        const uint32_t signs = value32(b->groups[group].signs);
        const float d = scale * (0.5f + (float)(signs >> 28)) * 0.25f;
        for (int j = 0; j < 4; j++) {
            signed_values(
                d, quants_iq2_xxs_values[b->groups[group].indices[j]], quants_even_signs[signs >> 7 * j & 127],
                y + 32 * group + 8 * j);
        }
    }
}

DECODER void decode_block_iq2_xs(const BlockIQ2_XS *restrict b, float *restrict y) {
    const float scale = value_of(b->scale);
    for (int j = 0; j < 32; j++) {
        const float d = scale * (0.5f + (float)(b->scales[j / 4] >> j % 4 / 2 * 4 & 15)) * 0.25f;
        const int quant = value16(b->quants[j]);
        signed_values(d, quants_iq2_xs_values[quant & 511], quants_even_signs[quant >> 9], y + 8 * j);
    }
}

DECODER void decode_block_iq2_s(const BlockIQ2_S *restrict b, float *restrict y) {
    const float scale = value_of(b->scale);
    for (int j = 0; j < 32; j++) {
        const float d = scale * (0.5f + (float)(b->scales[j / 4] >> j % 4 / 2 * 4 & 15)) * 0.25f;
        const int index = b->indices[j] | (b->high[j / 4] >> j % 4 * 2 & 3) << 8;
        bit_signed_values(d, quants_iq2_s_values[index], b->signs[j], y + 8 * j);
    }
}

DECODER void decode_block_iq3_xxs(const BlockIQ3_XXS *restrict b, float *restrict y) {
    const float scale = value_of(b->scale);
    for (int j = 0; j < 32; j++) {
        const uint32_t signs = value32(b->signs[j / 4]);
        const float d = scale * (0.5f + (float)(signs >> 28)) * 0.5f;
        int8_t values[8];
        memcpy(values, quants_iq3_xxs_values[b->indices[2 * j]], 4);
        memcpy(values + 4, quants_iq3_xxs_values[b->indices[2 * j + 1]], 4);
        signed_values(d, values, quants_even_signs[signs >> j % 4 * 7 & 127], y + 8 * j);
    }
}

DECODER void decode_block_iq3_s(const BlockIQ3_S *restrict b, float *restrict y) {
    const float scale = value_of(b->scale);
    for (int j = 0; j < 32; j++) {
        const float d = scale * (float)(1 + 2 * (b->scales[j / 8] >> j % 8 / 4 * 4 & 15));
        const int high = b->high[j / 4] >> j % 4 * 2;
        int8_t values[8];
        memcpy(values, quants_iq3_s_values[b->indices[2 * j] | (high & 1) << 8], 4);
        memcpy(values + 4, quants_iq3_s_values[b->indices[2 * j + 1] | (high & 2) << 7], 4);
        bit_signed_values(d, values, b->signs[j], y + 8 * j);
    }
}

/// Eight elements of −1, 0 and 1, shifted up or down by an eighth.
DECODER void shifted_values(float d, const int8_t *values, int down, float *restrict y) {
    const float shift = down ? -0.125f : 0.125f;
    for (int i = 0; i < 8; i++) y[i] = d * ((float)values[i] + shift);
}

DECODER void decode_block_iq1_s(const BlockIQ1_S *restrict b, float *restrict y) {
    const float scale = value_of(b->scale);
    for (int j = 0; j < 32; j++) {
        const int high = value16(b->high[j / 4]);
        const float d = scale * (float)(2 * (high >> 12 & 7) + 1);
        const int index = b->indices[j] | (high >> j % 4 * 3 & 7) << 8;
        shifted_values(d, quants_iq1_values[index], high >> 15, y + 8 * j);
    }
}

DECODER void decode_block_iq1_m(const BlockIQ1_M *restrict b, float *restrict y) {
    uint32_t bits = 0;
    for (int i = 0; i < 4; i++) bits |= (uint32_t)(value16(b->scales[i]) >> 12) << 4 * i;
    const float scale = value_of_half_bits(bits);
    for (int j = 0; j < 32; j++) {
        const float d = scale * (float)(2 * (value16(b->scales[j / 8]) >> j % 8 / 2 * 3 & 7) + 1);
        const int high = b->high[j / 2] >> j % 2 * 4;
        shifted_values(d, quants_iq1_values[b->indices[j] | (high & 7) << 8], high & 8, y + 8 * j);
    }
}

// MARK: Tables

/// 16 bytes of two numbers, which stand for values of a table.
DECODER void table_values(float d, const int8_t *table, const uint8_t *quants, int half, float *restrict y) {
    for (int i = 0; i < half; i++) {
        y[i] = d * (float)table[quants[i] & 15];
        y[i + half] = d * (float)table[quants[i] >> 4];
    }
}

DECODER void decode_block_iq4_nl(const BlockIQ4_NL *restrict b, float *restrict y) {
    table_values(value_of(b->scale), quants_iq4_values, b->quants, 16, y);
}

DECODER void decode_block_iq4_xs(const BlockIQ4_XS *restrict b, float *restrict y) {
    const float scale = value_of(b->scale);
    for (int group = 0; group < 8; group++) {
        const int low = b->low[group / 2] >> group % 2 * 4 & 15, high = value16(b->high) >> 2 * group & 3;
        const float d = scale * (float)((low | high << 4) - 32);
        table_values(d, quants_iq4_values, b->quants + 16 * group, 16, y + 32 * group);
    }
}

/// 2^(exponent − 128): halves the values of a table that is doubled.
DECODER float half_power(uint8_t exponent) {
    return float_of_bits(exponent < 2 ? 0x00200000u << exponent : (uint32_t)(exponent - 1) << 23);
}

DECODER void decode_block_mxfp4(const BlockMXFP4 *restrict b, float *restrict y) {
    table_values(half_power(b->exponent), quants_fp4_values, b->quants, 16, y);
}

/// Half of an unsigned E4M3 number, whose one NaN counts as 0.
DECODER float half_e4m3(uint8_t byte) {
    const int exponent = byte >> 3 & 15, mantissa = byte & 7;
    if (byte == 0x7f) return 0;
    if (exponent == 0) return (float)mantissa * 0x1p-10f;
    return float_of_bits((uint32_t)(exponent + 127 - 8) << 23 | (uint32_t)mantissa << 20);
}

DECODER void decode_block_nvfp4(const BlockNVFP4 *restrict b, float *restrict y) {
    for (int group = 0; group < 4; group++) {
        table_values(half_e4m3(b->scales[group]), quants_fp4_values, b->quants + 8 * group, 8, y + 16 * group);
    }
}

// MARK: Plain numbers

/// The bits of number `i`, of so many bytes.
DECODER uint64_t little_bits(const void *source, long i, long size) {
    const uint8_t *bytes = (const uint8_t *)source + size * i;
    uint64_t bits = 0;
    for (long j = 0; j < size; j++) bits |= (uint64_t)bytes[j] << 8 * j;
    return bits;
}

/// Bytes of a plain number; 0 for quantised types.
DECODER long number_bytes(uint32_t type) {
    switch (type) {
    case QUANTS_I8: return 1;
    case QUANTS_F16: case QUANTS_BF16: case QUANTS_I16: return 2;
    case QUANTS_F32: case QUANTS_I32: return 4;
    case QUANTS_F64: case QUANTS_I64: return 8;
    default: return 0;
    }
}

DECODER float number_of(uint32_t type, uint64_t bits) {
    double wide;
    switch (type) {
    case QUANTS_F32: return float_of_bits((uint32_t)bits);
    case QUANTS_F16: return value_of_half_bits((uint32_t)bits);
    case QUANTS_BF16: return float_of_bits((uint32_t)bits << 16);
    case QUANTS_I8: return (float)(int8_t)bits;
    case QUANTS_I16: return (float)(int16_t)bits;
    case QUANTS_I32: return (float)(int32_t)bits;
    case QUANTS_I64: return (float)(int64_t)bits;
    default: memcpy(&wide, &bits, 8); return (float)wide;
    }
}

// MARK: Rows

/// Each quantised type: its name, block, elements of a block, decoder of a block.
#define QUANTS_BLOCKS(X)                                \
    X(Q1_0, BlockQ1_0, 128, decode_block_q1_0)          \
    X(Q2_0, BlockQ2_0, 64, decode_block_q2_0)           \
    X(Q4_0, BlockQ4_0, 32, decode_block_q4_0)           \
    X(Q4_1, BlockQ4_1, 32, decode_block_q4_1)           \
    X(Q5_0, BlockQ5_0, 32, decode_block_q5_0)           \
    X(Q5_1, BlockQ5_1, 32, decode_block_q5_1)           \
    X(Q8_0, BlockQ8_0, 32, decode_block_q8_0)           \
    X(Q8_1, BlockQ8_1, 32, decode_block_q8_1)           \
    X(Q2_K, BlockQ2_K, 256, decode_block_q2_k)          \
    X(Q3_K, BlockQ3_K, 256, decode_block_q3_k)          \
    X(Q4_K, BlockQ4_K, 256, decode_block_q4_k)          \
    X(Q5_K, BlockQ5_K, 256, decode_block_q5_k)          \
    X(Q6_K, BlockQ6_K, 256, decode_block_q6_k)          \
    X(Q8_K, BlockQ8_K, 256, decode_block_q8_k)          \
    X(TQ1_0, BlockTQ1_0, 256, decode_block_tq1_0)       \
    X(TQ2_0, BlockTQ2_0, 256, decode_block_tq2_0)       \
    X(IQ1_S, BlockIQ1_S, 256, decode_block_iq1_s)       \
    X(IQ1_M, BlockIQ1_M, 256, decode_block_iq1_m)       \
    X(IQ2_XXS, BlockIQ2_XXS, 256, decode_block_iq2_xxs) \
    X(IQ2_XS, BlockIQ2_XS, 256, decode_block_iq2_xs)    \
    X(IQ2_S, BlockIQ2_S, 256, decode_block_iq2_s)       \
    X(IQ3_XXS, BlockIQ3_XXS, 256, decode_block_iq3_xxs) \
    X(IQ3_S, BlockIQ3_S, 256, decode_block_iq3_s)       \
    X(IQ4_NL, BlockIQ4_NL, 32, decode_block_iq4_nl)     \
    X(IQ4_XS, BlockIQ4_XS, 256, decode_block_iq4_xs)    \
    X(MXFP4, BlockMXFP4, 32, decode_block_mxfp4)        \
    X(NVFP4, BlockNVFP4, 64, decode_block_nvfp4)

/// Plain numbers, or whole blocks; `type` as in `CQuants.h`.
__attribute__((unused)) static void decode_elements(
    uint32_t type, const void *restrict source, float *restrict y, long count) {
    switch (type) {
#define CASE(name, Block, elements, decode_block)                    \
    case QUANTS_##name:                                              \
        for (long i = 0; i < count / elements; i++) {                \
            decode_block((const Block *)source + i, y + elements * i); \
        }                                                            \
        break;
    QUANTS_BLOCKS(CASE)
#undef CASE
#define CASE(name)                                                                                    \
    case QUANTS_##name:                                                                               \
        for (long i = 0; i < count; i++) {                                                            \
            y[i] = number_of(QUANTS_##name, little_bits(source, i, number_bytes(QUANTS_##name)));     \
        }                                                                                             \
        break;
    CASE(F32) CASE(F16) CASE(BF16) CASE(F64) CASE(I8) CASE(I16) CASE(I32) CASE(I64)
#undef CASE
    default: break;
    }
}
