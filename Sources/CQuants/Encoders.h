// Floats to tensor data, for the instruction set of the file that includes this. Nothing fuses a multiplication with an
// addition there, and sums have one order, so that every platform makes the same bytes.
#pragma once

#include "Grids.h"
#include "Search.h"

// MARK: Numbers

static uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    return bits;
}

/// IEEE half, rounded to nearest, ties to even; NaN keeps its upper payload.
static LittleHalf half_of(float x) {
    const uint32_t bits = bits_of(x), size = bits & 0x7fffffffu;
    uint32_t half;
    if (size > 0x7f800000u) {
        half = size >> 13 & 0x3ffu;
        half = 0x7c00u | (half ? half : 1);
    } else if (size >= 0x477ff000u) {
        half = 0x7c00u;
    } else if (size >= 0x38800000u) {
        half = (size + 0xfffu + (size >> 13 & 1) - 0x38000000u) >> 13;
    } else {
        // The sum has its last bit at 2⁻²⁴, a subnormal half's.
        half = bits_of(float_of_bits(size) + 0.5f) - bits_of(0.5f);
    }
    half |= bits >> 16 & 0x8000u;
    return (LittleHalf){{(uint8_t)half, (uint8_t)(half >> 8)}};
}

static Little16 little16(int x) { return (Little16){{(uint8_t)x, (uint8_t)(x >> 8)}}; }
static Little32 little32(uint32_t x) {
    return (Little32){{(uint8_t)x, (uint8_t)(x >> 8), (uint8_t)(x >> 16), (uint8_t)(x >> 24)}};
}

static int is_finite(float x) { return (bits_of(x) & 0x7f800000u) != 0x7f800000u; }

/// The integer part; 0 where the value is infinite or no number, as the package's conversion has it.
static int truncated(float x) { return is_finite(x) ? (int)x : 0; }

/// The nearest integer, ties away from zero; 0 as above.
static int rounded_away(float x) {
    if (!is_finite(x)) return 0;
    const int whole = (int)x;
    const float rest = x - (float)whole;
    return whole + (rest >= 0.5f) - (rest <= -0.5f);
}

static float inverse_of(float scale) { return scale == 0 ? 0 : 1 / scale; }

/// The largest magnitude; NaN where one element is. As integers, magnitudes keep their order, and NaN comes last.
static float largest_magnitude(const float *x, int count) {
    uint32_t largest = 0;
    for (int i = 0; i < count; i++) {
        const uint32_t bits = bits_of(x[i]) & 0x7fffffffu;
        largest = bits > largest ? bits : largest;
    }
    return float_of_bits(largest);
}

/// The first of 32 elements of the largest magnitude; the first NaN where there is one.
static float first_extreme(const float *x) {
    uint32_t sizes[32], largest = 0;
    for (int i = 0; i < 32; i++) {
        const uint32_t bits = bits_of(x[i]) & 0x7fffffffu;
        sizes[i] = bits < 0x7f800001u ? bits : 0x7f800001u;
        largest = sizes[i] > largest ? sizes[i] : largest;
    }
    int first = 31;
    for (int i = 0; i < 32; i++) first = sizes[i] == largest && i < first ? i : first;
    return x[first];
}

/// NaN where one element is.
static void extremes(const float *x, int count, float *least, float *most) {
    *least = *most = x[0];
    for (int i = 1; i < count && *least == *least; i++) {
        if (!(x[i] >= *least)) *least = x[i];
        if (!(x[i] <= *most)) *most = x[i];
    }
}

// MARK: Blocks with one scale

/// Numbers 0 ... 15 in pairs: element i low, i + half high.
static void pack_pairs(const int *numbers, uint8_t *bytes, int half) {
    for (int i = 0; i < half; i++) bytes[i] = (uint8_t)((numbers[i] & 15) | (numbers[i + half] & 15) << 4);
}
/// Two bits each, from `bit` up, of 128 numbers: element i lowest, then i + 32, i + 64 and i + 96.
static void pack_quarters(const int *numbers, int bit, uint8_t *bytes) {
    for (int i = 0; i < 32; i++) {
        bytes[i] = 0;
        for (int j = 0; j < 4; j++) bytes[i] |= (uint8_t)((numbers[32 * j + i] >> bit & 3) << 2 * j);
    }
}
static Little32 pack_fifths(const int *numbers) {
    uint32_t bits = 0;
    for (int i = 0; i < 32; i++) bits |= (uint32_t)(numbers[i] >> 4 & 1) << i;
    return little32(bits);
}

/// Numbers 0 ..< 2 · zero: the extreme becomes 0; rounded up where a half is left.
static LittleHalf around_zero(const float *x, int zero, int *numbers) {
    const float scale = first_extreme(x) / (float)-zero, inverse = inverse_of(scale);
    for (int i = 0; i < 32; i++) {
        const int number = truncated(x[i] * inverse + ((float)zero + 0.5f));
        numbers[i] = number < 2 * zero ? number : 2 * zero - 1;
    }
    return half_of(scale);
}

/// Numbers 0 ... top from the minimum up.
static LittleHalf above_minimum(const float *x, int top, int *numbers, LittleHalf *minimum) {
    float least, most;
    extremes(x, 32, &least, &most);
    const float scale = (most - least) / (float)top, inverse = inverse_of(scale);
    for (int i = 0; i < 32; i++) {
        const int number = truncated((x[i] - least) * inverse + 0.5f);
        numbers[i] = number < top ? number : top;
    }
    *minimum = half_of(least);
    return half_of(scale);
}

static void encode_block_q1_0(const float *x, BlockQ1_0 *b) {
    float sum = 0;
    for (int i = 0; i < 128; i++) sum += magnitude(x[i]);
    b->scale = half_of(sum / 128);
    for (int i = 0; i < 16; i++) {
        b->quants[i] = 0;
        for (int j = 0; j < 8; j++) b->quants[i] |= (uint8_t)((x[8 * i + j] >= 0) << j);
    }
}

static void encode_block_q2_0(const float *x, BlockQ2_0 *b) {
    float scale = 0;
    for (int i = 0; i < 64; i++) scale = magnitude(x[i]) > scale ? magnitude(x[i]) : scale;
    const float inverse = inverse_of(scale);
    b->scale = half_of(scale);
    for (int i = 0; i < 16; i++) {
        b->quants[i] = 0;
        for (int j = 0; j < 4; j++) {
            b->quants[i] |= (uint8_t)(clamped(rounded_away(x[4 * i + j] * inverse) + 1, 0, 3) << 2 * j);
        }
    }
}

static void encode_block_q4_0(const float *x, BlockQ4_0 *b) {
    int numbers[32];
    b->scale = around_zero(x, 8, numbers);
    pack_pairs(numbers, b->quants, 16);
}

static void encode_block_q4_1(const float *x, BlockQ4_1 *b) {
    int numbers[32];
    b->scale = above_minimum(x, 15, numbers, &b->minimum);
    pack_pairs(numbers, b->quants, 16);
}

static void encode_block_q5_0(const float *x, BlockQ5_0 *b) {
    int numbers[32];
    b->scale = around_zero(x, 16, numbers);
    b->fifths = pack_fifths(numbers);
    pack_pairs(numbers, b->quants, 16);
}

static void encode_block_q5_1(const float *x, BlockQ5_1 *b) {
    int numbers[32];
    b->scale = above_minimum(x, 31, numbers, &b->minimum);
    b->fifths = pack_fifths(numbers);
    pack_pairs(numbers, b->quants, 16);
}

/// Signed bytes for 32 elements; gives the unrounded scale.
static float signed_bytes(const float *x, int8_t *quants) {
    const float scale = largest_magnitude(x, 32) / 127, inverse = inverse_of(scale);
    // Otherwise every product is 0, infinite or not a number.
    const int usable = is_finite(inverse) && is_finite(scale);
    for (int i = 0; i < 32; i++) quants[i] = usable ? (int8_t)rounded_away(x[i] * inverse) : 0;
    return scale;
}

static void encode_block_q8_0(const float *x, BlockQ8_0 *b) { b->scale = half_of(signed_bytes(x, b->quants)); }

static void encode_block_q8_1(const float *x, BlockQ8_1 *b) {
    const float scale = signed_bytes(x, b->quants);
    int sum = 0;
    for (int i = 0; i < 32; i++) sum += b->quants[i];
    b->scale = half_of(scale);
    b->sum = half_of((float)sum * scale);
}

static void encode_block_q8_k(const float *x, BlockQ8_K *b) {
    const float scale = largest_magnitude(x, 256) / 127, inverse = inverse_of(scale);
    const int usable = is_finite(inverse) && is_finite(scale);
    b->scale = little32(bits_of(usable ? scale : 0));
    for (int group = 0; group < 16; group++) {
        int sum = 0;
        for (int i = 16 * group; i < 16 * group + 16; i++) {
            b->quants[i] = usable ? (int8_t)rounded_away(x[i] * inverse) : 0;
            sum += b->quants[i];
        }
        b->sums[group] = little16(sum);
    }
}

// MARK: Blocks of groups

/// What the elements of a group become once its scale and minimum are rounded.
static void group_numbers(const float *x, int count, float scale, float minimum, int lower, int upper, int *numbers) {
    const float inverse = inverse_of(scale);
    for (int i = 0; i < count; i += 16) {
        store_integers(numbers + i, nearest_in((load16(x + i) + minimum) * inverse, (float)lower, (float)upper));
    }
}

/// The block's scale for group scales that become integers up to `top`, and those integers.
static LittleHalf scale_of_scales(const float *scales, int groups, int top, int *numbers) {
    const float largest = largest_magnitude(scales, groups);
    const LittleHalf half = half_of(largest / (float)top);
    const float scale = value_of(half);
    for (int i = 0; i < groups; i++) numbers[i] = scale == 0 ? 0 : clamped(nearest(scales[i] / scale), -top, top);
    return half;
}

/// Scales, minima and numbers of `groups` groups with a minimum; gives all as integers.
static void encode_above_minima(
    const float *x, int groups, int size, int top, int scale_top, LittleHalf *scale, LittleHalf *minimum, int *scales,
    int *minima, int *numbers) {
    float d[16], m[16];
    for (int group = 0; group < groups; group += 8) {
        if (size == 16) best_scales_and_minima(x + 16 * group, 16, (float)top, d + group, m + group);
        else best_scales_and_minima(x + 32 * group, 32, (float)top, d + group, m + group);
    }
    *scale = scale_of_scales(d, groups, scale_top, scales);
    *minimum = scale_of_scales(m, groups, scale_top, minima);
    for (int group = 0; group < groups; group++) {
        if (scales[group] < 0) scales[group] = 0;
        const float scale_here = value_of(*scale) * (float)scales[group];
        const float minimum_here = value_of(*minimum) * (float)minima[group];
        group_numbers(x + size * group, size, scale_here, minimum_here, 0, top, numbers + size * group);
    }
}

static void encode_block_q2_k(const float *x, BlockQ2_K *b) {
    int scales[16], minima[16], numbers[256];
    encode_above_minima(x, 16, 16, 3, 15, &b->scale, &b->minimum, scales, minima, numbers);
    for (int i = 0; i < 16; i++) b->scales[i] = (uint8_t)(scales[i] | minima[i] << 4);
    pack_quarters(numbers, 0, b->quants);
    pack_quarters(numbers + 128, 0, b->quants + 32);
}

static void pack_six_bits(const int *scales, const int *minima, uint8_t *bytes) {
    for (int i = 0; i < 4; i++) {
        bytes[i] = (uint8_t)(scales[i] | scales[i + 4] >> 4 << 6);
        bytes[i + 4] = (uint8_t)(minima[i] | minima[i + 4] >> 4 << 6);
        bytes[i + 8] = (uint8_t)((scales[i + 4] & 15) | (minima[i + 4] & 15) << 4);
    }
}

static void encode_block_q4_k(const float *x, BlockQ4_K *b) {
    int scales[8], minima[8], numbers[256];
    encode_above_minima(x, 8, 32, 15, 63, &b->scale, &b->minimum, scales, minima, numbers);
    pack_six_bits(scales, minima, b->scales);
    for (int pair = 0; pair < 4; pair++) pack_pairs(numbers + 64 * pair, b->quants + 32 * pair, 32);
}

static void encode_block_q5_k(const float *x, BlockQ5_K *b) {
    int scales[8], minima[8], numbers[256];
    encode_above_minima(x, 8, 32, 31, 63, &b->scale, &b->minimum, scales, minima, numbers);
    pack_six_bits(scales, minima, b->scales);
    for (int pair = 0; pair < 4; pair++) pack_pairs(numbers + 64 * pair, b->quants + 32 * pair, 32);
    for (int i = 0; i < 32; i++) {
        b->high[i] = 0;
        for (int j = 0; j < 8; j++) b->high[i] |= (uint8_t)((numbers[32 * j + i] >> 4) << j);
    }
}

/// Scales and numbers of sixteen groups around zero.
static LittleHalf encode_around_zero(const float *x, int lower, int upper, int scale_top, int *scales, int *numbers) {
    float d[16];
    for (int group = 0; group < 16; group += 8) best_scales(x + 16 * group, lower, upper, d + group);
    const LittleHalf scale = scale_of_scales(d, 16, scale_top, scales);
    for (int group = 0; group < 16; group++) {
        group_numbers(
            x + 16 * group, 16, value_of(scale) * (float)scales[group], 0, lower, upper, numbers + 16 * group);
    }
    return scale;
}

static void encode_block_q3_k(const float *x, BlockQ3_K *b) {
    int scales[16], numbers[256];
    b->scale = encode_around_zero(x, -4, 3, 31, scales, numbers);
    memset(b->scales, 0, sizeof b->scales);
    for (int i = 0; i < 16; i++) {
        const int number = scales[i] + 32;
        b->scales[i % 8] |= (uint8_t)((number & 15) << i / 8 * 4);
        b->scales[8 + i % 4] |= (uint8_t)(number >> 4 << i / 4 * 2);
    }
    for (int i = 0; i < 256; i++) numbers[i] += 4;
    pack_quarters(numbers, 0, b->quants);
    pack_quarters(numbers + 128, 0, b->quants + 32);
    for (int i = 0; i < 32; i++) {
        b->high[i] = 0;
        for (int j = 0; j < 8; j++) b->high[i] |= (uint8_t)(numbers[32 * j + i] >> 2 << j);
    }
}

static void encode_block_q6_k(const float *x, BlockQ6_K *b) {
    int scales[16], numbers[256];
    b->scale = encode_around_zero(x, -32, 31, 127, scales, numbers);
    for (int i = 0; i < 16; i++) b->scales[i] = (int8_t)scales[i];
    for (int i = 0; i < 256; i++) numbers[i] += 32;
    for (int half = 0; half < 2; half++) {
        pack_pairs(numbers + 128 * half, b->low + 64 * half, 64);
        pack_quarters(numbers + 128 * half, 4, b->high + 32 * half);
    }
}

// MARK: Ternary

static LittleHalf ternary_digits(const float *x, int *digits) {
    const float scale = largest_magnitude(x, 256), inverse = inverse_of(scale);
    for (int i = 0; i < 256; i++) digits[i] = rounded_away(x[i] * inverse) + 1;
    return half_of(scale);
}

/// The digits, the first on top, as a fraction of 256, rounded up.
static uint8_t ternary_byte(const int *digits, int stride, int count) {
    static const int powers[] = {81, 27, 9, 3, 1};
    int number = 0;
    for (int j = 0; j < count; j++) number += digits[stride * j] * powers[j];
    return (uint8_t)((number * 256 + 242) / 243);
}

static void encode_block_tq1_0(const float *x, BlockTQ1_0 *b) {
    int digits[256];
    b->scale = ternary_digits(x, digits);
    for (int i = 0; i < 32; i++) b->quants[i] = ternary_byte(digits + i, 32, 5);
    for (int i = 0; i < 16; i++) b->quants[32 + i] = ternary_byte(digits + 160 + i, 16, 5);
    for (int i = 0; i < 4; i++) b->last[i] = ternary_byte(digits + 240 + i, 4, 4);
}

static void encode_block_tq2_0(const float *x, BlockTQ2_0 *b) {
    int digits[256];
    b->scale = ternary_digits(x, digits);
    pack_quarters(digits, 0, b->quants);
    pack_quarters(digits + 128, 0, b->quants + 32);
}

// MARK: Tables

/// The places of the first values of E2M1, times the scale, that lie nearest: no value of the other sign does, and the
/// zero that comes first is the positive one. Errors are compared as they are rounded.
static void fp4_numbers(const float *x, int count, float scale, int *numbers) {
    for (int i = 0; i < count; i += 16) {
        const v16 elements = load16(x + i), sizes = __builtin_elementwise_abs(elements);
        v16 places = 0, least = sizes;
        for (int place = 1; place < 8; place++) {
            const v16 error = __builtin_elementwise_abs(scale * (float)quants_fp4_values[place] - sizes);
            const i16 nearer = error < least;
            least = nearer ? error : least;
            places = nearer ? (v16)(float)place : places;
        }
        store_integers(numbers + i, (elements < (v16)0 & places > (v16)0) ? places + 8 : places);
    }
}

/// The scales of up to eight groups of 32 elements that become values of IQ4's table: the best of some that put the
/// extreme element near the one end or the other.
static void iq4_scales(const float *elements, int groups, const Levels *levels, float *scales) {
    v16 x[16];
    load_groups(elements, 32, groups, x);
    const v8 end = extreme_elements(x, 32);
    Best best = {0, 0};
    for (int step = 0; step < 6; step++) {
        const float place = (step & 1 ? 113.0f : -127.0f) * (1 + 0.0625f * (float)(step / 2 - 1));
        try_scale(x, 32, place / end, levels, 16, 0, &best);
    }
    store8(scales, magnitudes(end) > (v8)0x1p-100f ? best.scale : (v8)0);
}

static void iq4_numbers(const float *x, float scale, const Levels *levels, int *numbers) {
    const float inverse = inverse_of(scale);
    for (int i = 0; i < 32; i += 16) {
        v16 places;
        nearest_levels(levels, 16, load16(x + i) * inverse, &places);
        store_integers(numbers + i, places);
    }
}

static void encode_blocks_iq4_nl(const float *x, BlockIQ4_NL *b, long blocks) {
    const Levels levels = levels_of(quants_iq4_values, 16);
    float scales[8];
    for (long i = 0; i < blocks; i++) {
        if (i % 8 == 0) iq4_scales(x + 32 * i, blocks - i < 8 ? (int)(blocks - i) : 8, &levels, scales);
        int numbers[32];
        b[i].scale = half_of(scales[i % 8]);
        iq4_numbers(x + 32 * i, value_of(b[i].scale), &levels, numbers);
        pack_pairs(numbers, b[i].quants, 16);
    }
}

static void encode_block_iq4_xs(const float *x, BlockIQ4_XS *b) {
    const Levels levels = levels_of(quants_iq4_values, 16);
    float d[8];
    int scales[8], high = 0;
    iq4_scales(x, 8, &levels, d);
    b->scale = scale_of_scales(d, 8, 31, scales);
    memset(b->low, 0, sizeof b->low);
    for (int group = 0; group < 8; group++) {
        int numbers[32];
        iq4_numbers(x + 32 * group, value_of(b->scale) * (float)scales[group], &levels, numbers);
        pack_pairs(numbers, b->quants + 16 * group, 16);
        b->low[group / 2] |= (uint8_t)(((scales[group] + 32) & 15) << group % 2 * 4);
        high |= (scales[group] + 32) >> 4 << 2 * group;
    }
    b->high = little16(high);
}

/// The integer below a positive number's logarithm to base 2, taken in single precision, as the package does: numbers
/// just below a power of two are rounded up to it.
static int rounded_exponent(float x) {
    int exponent = -127;
    if (bits_of(x) < 0x00800000u) {
        x *= 0x1p24f;
        exponent -= 24;
    }
    exponent += (int)(bits_of(x) >> 23);
    const int above = exponent + 1, size = above > 0 ? above : -above;
    if (above == 0) return exponent;
    // The power lies 2⁻²³ · missing above the number's significand, and so its logarithm 2⁻²³ · missing / (2 ln 2)
    // above the number's; that is lost if it is no more than half the step between floats just below `above`.
    const uint32_t missing = 0x800000u - (bits_of(x) & 0x7fffffu);
    int binade = above == 1 ? -1 : 0;
    while (above > 1 ? 2 << binade < size : above < 0 && 2 << binade <= size) binade++;
    const double step = binade < 0 ? 0.5 : (double)(1 << binade);
    return (double)missing * 0.72134752 <= step / 2 ? above : exponent;
}

static void encode_block_mxfp4(const float *x, BlockMXFP4 *b) {
    int numbers[32];
    const float largest = largest_magnitude(x, 32);
    b->exponent = largest > 0 && is_finite(largest) ? (uint8_t)(rounded_exponent(largest) + 125) : 0;
    fp4_numbers(x, 32, half_power(b->exponent), numbers);
    pack_pairs(numbers, b->quants, 16);
}

/// Unsigned E4M3, at most 448; subnormals and ties up.
static uint8_t e4m3_of(float x) {
    if (!(x > 0)) return 0;
    if (x >= 256 * 1.75f) return 0x7e;
    if (x < 0x1p-6f) return (uint8_t)clamped((int)(x * 512 + 0.5f), 0, 7);
    // Three bits of the significand are left; a carry raises the exponent.
    const int rounded = (int)((bits_of(x) + (1u << 19)) >> 20) - ((127 - 7) << 3);
    return (uint8_t)clamped(rounded, 0, 0x7e);
}

static void encode_block_nvfp4(const float *x, BlockNVFP4 *b) {
    for (int group = 0; group < 4; group++) {
        int numbers[16];
        float largest = magnitude(x[16 * group]);
        for (int i = 1; i < 16; i++) {
            const float size = magnitude(x[16 * group + i]);
            largest = size > largest ? size : largest;
        }
        b->scales[group] = e4m3_of(largest / 6);
        fp4_numbers(x + 16 * group, 16, half_e4m3(b->scales[group]), numbers);
        pack_pairs(numbers, b->quants + 8 * group, 8);
    }
}

// MARK: Grids

/// A type's grid, for encoding.
typedef struct {
    /// For every combination of digits the nearest that the grid has.
    const uint16_t *nearest;
    const int8_t *values;
    /// Elements of a combination, values that each can have, and those values.
    int elements, base;
    Levels levels;
} Grid;

static Grid grid_of(uint32_t type) {
    static const int8_t iq1[] = {-1, 0, 1}, iq2[] = {8, 25, 43}, iq3_xxs[] = {4, 12, 20, 28, 36, 44, 52, 62};
    static const int8_t iq3_s[] = {1, 3, 5, 7, 9, 11, 13, 15};
    const uint16_t *nearest = quants_nearest(type);
    switch (type) {
    case QUANTS_IQ2_XXS: return (Grid){nearest, *quants_iq2_xxs_values, 8, 3, levels_of(iq2, 3)};
    case QUANTS_IQ2_XS: return (Grid){nearest, *quants_iq2_xs_values, 8, 3, levels_of(iq2, 3)};
    case QUANTS_IQ2_S: return (Grid){nearest, *quants_iq2_s_values, 8, 3, levels_of(iq2, 3)};
    case QUANTS_IQ3_XXS: return (Grid){nearest, *quants_iq3_xxs_values, 4, 8, levels_of(iq3_xxs, 8)};
    case QUANTS_IQ3_S: return (Grid){nearest, *quants_iq3_s_values, 4, 8, levels_of(iq3_s, 8)};
    default: return (Grid){nearest, *quants_iq1_values, 8, 3, levels_of(iq1, 3)};
    }
}

/// Indices for `count` elements times `inverse`.
static void grid_indices(const Grid *grid, const float *x, int count, float inverse, int *indices) {
    for (int start = 0; start < count; start += 16) {
        v16 places;
        int digits[16];
        if (grid->base == 3) nearest_levels(&grid->levels, 3, load16(x + start) * inverse, &places);
        else nearest_levels(&grid->levels, 8, load16(x + start) * inverse, &places);
        store_integers(digits, places);
        for (int first = 0; first < 16; first += grid->elements) {
            int number = 0;
            for (int i = grid->elements - 1; i >= 0; i--) number = number * grid->base + digits[first + i];
            indices[(start + first) / grid->elements] = grid->nearest[number];
        }
    }
}

/// The scales of eight groups: the best of some that put the largest element at the top of the grid or beyond it, as if
/// every combination were in the grid.
INLINE void scales_on_grid(const Grid *grid, const int base, const float *elements, const int size, float *scales) {
    v16 x[16];
    load_groups(elements, size, 8, x);
    v8 largest = 0;
    for (int i = 0; i < size; i++) {
        const v8 other = magnitudes(element(x, size, i));
        largest = other > largest ? other : largest;
    }
    Best best = {0, 0};
    for (int step = 0; step < 5; step++) {
        const v8 inverse = grid->levels.values[base - 1] / (largest * (1 - 0.125f * (float)step));
        try_scale(x, size, inverse, &grid->levels, base, 1, &best);
    }
    store8(scales, (largest > (v8)0x1p-100f & largest < (v8)__builtin_inff()) ? best.scale : (v8)0);
}

static void grid_scales(const Grid *grid, const float *x, int size, float *scales) {
    if (grid->base == 8) scales_on_grid(grid, 8, x, 32, scales);
    else if (size == 32) scales_on_grid(grid, 3, x, 32, scales);
    else scales_on_grid(grid, 3, x, 16, scales);
}

/// Magnitudes of 256 elements, and their signs by eights. Where the signs' number must be even, the least of the eight
/// gives way: it is taken as far on the other side of zero, of which only the nearness to it remains.
static void split_signs(const float *x, int even, float *magnitudes, int *signs) {
    for (int j = 0; j < 32; j++) {
        signs[j] = 0;
        int least = 0;
        for (int i = 0; i < 8; i++) {
            magnitudes[8 * j + i] = magnitude(x[8 * j + i]);
            signs[j] |= (x[8 * j + i] < 0) << i;
            if (magnitudes[8 * j + i] < magnitudes[8 * j + least]) least = i;
        }
        if (even && __builtin_parity((unsigned)signs[j])) {
            signs[j] ^= 1 << least;
            magnitudes[8 * j + least] = -magnitudes[8 * j + least];
        }
    }
}

/// Group scales as `unit · (step · number + offset)`, numbers 0 ... top: the unit in half precision, the numbers, and
/// the indices of all elements.
static LittleHalf encode_on_grid(
    const Grid *grid, const float *x, int size, float step, float offset, int top, int *numbers, int *indices) {
    float scales[16], largest = 0;
    for (int group = 0; group < 256 / size; group += 8) grid_scales(grid, x + size * group, size, scales + group);
    for (int group = 0; group < 256 / size; group++) largest = scales[group] > largest ? scales[group] : largest;
    const LittleHalf half = half_of(largest / (step * (float)top + offset));
    const float unit = value_of(half);
    for (int group = 0; group < 256 / size; group++) {
        numbers[group] = unit == 0 ? 0 : clamped(nearest((scales[group] / unit - offset) / step), 0, top);
        const float scale = unit * (step * (float)numbers[group] + offset);
        grid_indices(
            grid, x + size * group, size, scale == 0 ? 0 : 1 / scale, indices + size * group / grid->elements);
    }
    return half;
}

/// Scales of 4 bits, two in a byte.
static void pack_scale_pairs(const int *scales, uint8_t *bytes, int count) {
    for (int i = 0; i < count; i++) bytes[i] = (uint8_t)(scales[2 * i] | scales[2 * i + 1] << 4);
}

static uint32_t pack_signs(const int *signs, int scale) {
    uint32_t packed = (uint32_t)scale << 28;
    for (int i = 0; i < 4; i++) packed |= (uint32_t)(signs[i] & 127) << 7 * i;
    return packed;
}

static void encode_block_iq2_xxs(const float *x, const Grid *grid, BlockIQ2_XXS *b) {
    float magnitudes[256];
    int signs[32], scales[8], indices[32];
    split_signs(x, 1, magnitudes, signs);
    b->scale = encode_on_grid(grid, magnitudes, 32, 0.25f, 0.125f, 15, scales, indices);
    for (int group = 0; group < 8; group++) {
        for (int i = 0; i < 4; i++) b->groups[group].indices[i] = (uint8_t)indices[4 * group + i];
        b->groups[group].signs = little32(pack_signs(signs + 4 * group, scales[group]));
    }
}

static void encode_block_iq2_xs(const float *x, const Grid *grid, BlockIQ2_XS *b) {
    float magnitudes[256];
    int signs[32], scales[16], indices[32];
    split_signs(x, 1, magnitudes, signs);
    b->scale = encode_on_grid(grid, magnitudes, 16, 0.25f, 0.125f, 15, scales, indices);
    for (int j = 0; j < 32; j++) b->quants[j] = little16(indices[j] | (signs[j] & 127) << 9);
    pack_scale_pairs(scales, b->scales, 8);
}

static void encode_block_iq2_s(const float *x, const Grid *grid, BlockIQ2_S *b) {
    float magnitudes[256];
    int signs[32], scales[16], indices[32];
    split_signs(x, 0, magnitudes, signs);
    b->scale = encode_on_grid(grid, magnitudes, 16, 0.25f, 0.125f, 15, scales, indices);
    memset(b->high, 0, sizeof b->high);
    for (int j = 0; j < 32; j++) {
        b->indices[j] = (uint8_t)indices[j];
        b->high[j / 4] |= (uint8_t)(indices[j] >> 8 << j % 4 * 2);
        b->signs[j] = (uint8_t)signs[j];
    }
    pack_scale_pairs(scales, b->scales, 8);
}

static void encode_block_iq3_xxs(const float *x, const Grid *grid, BlockIQ3_XXS *b) {
    float magnitudes[256];
    int signs[32], scales[8], indices[64];
    split_signs(x, 1, magnitudes, signs);
    b->scale = encode_on_grid(grid, magnitudes, 32, 0.5f, 0.25f, 15, scales, indices);
    for (int j = 0; j < 64; j++) b->indices[j] = (uint8_t)indices[j];
    for (int group = 0; group < 8; group++) b->signs[group] = little32(pack_signs(signs + 4 * group, scales[group]));
}

static void encode_block_iq3_s(const float *x, const Grid *grid, BlockIQ3_S *b) {
    float magnitudes[256];
    int signs[32], scales[8], indices[64];
    split_signs(x, 0, magnitudes, signs);
    b->scale = encode_on_grid(grid, magnitudes, 32, 2, 1, 15, scales, indices);
    memset(b->high, 0, sizeof b->high);
    for (int j = 0; j < 64; j++) {
        b->indices[j] = (uint8_t)indices[j];
        b->high[j / 8] |= (uint8_t)(indices[j] >> 8 << j % 8);
    }
    for (int j = 0; j < 32; j++) b->signs[j] = (uint8_t)signs[j];
    pack_scale_pairs(scales, b->scales, 4);
}

/// Whether elements lie, all in all, below what their indices stand for.
static int lie_below(const Grid *grid, const float *x, int count, float scale, const int *indices) {
    float rest = 0;
    for (int i = 0; i < count; i++) rest += x[i] - scale * (float)grid->values[indices[i / 8] * 8 + i % 8];
    return rest < 0;
}

static void encode_block_iq1_s(const float *x, const Grid *grid, BlockIQ1_S *b) {
    int scales[8], indices[32];
    b->scale = encode_on_grid(grid, x, 32, 2, 1, 7, scales, indices);
    for (int j = 0; j < 32; j++) b->indices[j] = (uint8_t)indices[j];
    for (int group = 0; group < 8; group++) {
        const float scale = value_of(b->scale) * (float)(2 * scales[group] + 1);
        int high = scales[group] << 12 | lie_below(grid, x + 32 * group, 32, scale, indices + 4 * group) << 15;
        for (int i = 0; i < 4; i++) high |= indices[4 * group + i] >> 8 << 3 * i;
        b->high[group] = little16(high);
    }
}

static void encode_block_iq1_m(const float *x, const Grid *grid, BlockIQ1_M *b) {
    int scales[16], indices[32];
    const LittleHalf scale = encode_on_grid(grid, x, 16, 2, 1, 7, scales, indices);
    for (int j = 0; j < 32; j++) b->indices[j] = (uint8_t)indices[j];
    memset(b->high, 0, sizeof b->high);
    for (int j = 0; j < 32; j++) {
        const float d = value_of(scale) * (float)(2 * scales[j / 2] + 1);
        const int below = lie_below(grid, x + 8 * j, 8, d, indices + j);
        b->high[j / 2] |= (uint8_t)((indices[j] >> 8 | below << 3) << j % 2 * 4);
    }
    const int bits = scale.bytes[0] | scale.bytes[1] << 8;
    for (int i = 0; i < 4; i++) {
        int packed = (bits >> 4 * i & 15) << 12;
        for (int j = 0; j < 4; j++) packed |= scales[4 * i + j] << 3 * j;
        b->scales[i] = little16(packed);
    }
}

// MARK: Rows

#define CASE(name, Block, elements, encode)                                            \
    case QUANTS_##name:                                                               \
        for (long i = 0; i < count / elements; i++) encode(x + elements * i, (Block *)result + i); \
        break;
#define GRID_CASE(name, Block, encode)                                                \
    case QUANTS_##name: {                                                             \
        const Grid grid = grid_of(type);                                              \
        for (long i = 0; i < count / 256; i++) encode(x + 256 * i, &grid, (Block *)result + i); \
        break;                                                                        \
    }

static void encode_elements(uint32_t type, const float *x, void *result, long count) {
    switch (type) {
    CASE(Q1_0, BlockQ1_0, 128, encode_block_q1_0)
    CASE(Q2_0, BlockQ2_0, 64, encode_block_q2_0)
    CASE(Q4_0, BlockQ4_0, 32, encode_block_q4_0)
    CASE(Q4_1, BlockQ4_1, 32, encode_block_q4_1)
    CASE(Q5_0, BlockQ5_0, 32, encode_block_q5_0)
    CASE(Q5_1, BlockQ5_1, 32, encode_block_q5_1)
    CASE(Q8_0, BlockQ8_0, 32, encode_block_q8_0)
    CASE(Q8_1, BlockQ8_1, 32, encode_block_q8_1)
    CASE(Q2_K, BlockQ2_K, 256, encode_block_q2_k)
    CASE(Q3_K, BlockQ3_K, 256, encode_block_q3_k)
    CASE(Q4_K, BlockQ4_K, 256, encode_block_q4_k)
    CASE(Q5_K, BlockQ5_K, 256, encode_block_q5_k)
    CASE(Q6_K, BlockQ6_K, 256, encode_block_q6_k)
    CASE(Q8_K, BlockQ8_K, 256, encode_block_q8_k)
    CASE(TQ1_0, BlockTQ1_0, 256, encode_block_tq1_0)
    CASE(TQ2_0, BlockTQ2_0, 256, encode_block_tq2_0)
    GRID_CASE(IQ1_S, BlockIQ1_S, encode_block_iq1_s)
    GRID_CASE(IQ1_M, BlockIQ1_M, encode_block_iq1_m)
    GRID_CASE(IQ2_XXS, BlockIQ2_XXS, encode_block_iq2_xxs)
    GRID_CASE(IQ2_XS, BlockIQ2_XS, encode_block_iq2_xs)
    GRID_CASE(IQ2_S, BlockIQ2_S, encode_block_iq2_s)
    GRID_CASE(IQ3_XXS, BlockIQ3_XXS, encode_block_iq3_xxs)
    GRID_CASE(IQ3_S, BlockIQ3_S, encode_block_iq3_s)
    case QUANTS_IQ4_NL: encode_blocks_iq4_nl(x, result, count / 32); break;
    CASE(IQ4_XS, BlockIQ4_XS, 256, encode_block_iq4_xs)
    CASE(MXFP4, BlockMXFP4, 32, encode_block_mxfp4)
    CASE(NVFP4, BlockNVFP4, 64, encode_block_nvfp4)
    default: break;
    }
}
#undef CASE
#undef GRID_CASE
