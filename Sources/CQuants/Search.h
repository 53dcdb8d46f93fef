// Searches for the scales of groups of elements, by least squares. Eight groups are searched at once, each in a lane of
// its own, so that no instruction set has another order of a group's sums.
#pragma once

#define INLINE static inline __attribute__((always_inline))

// All functions that take vectors are inlined, so that no calling convention matters.
#pragma clang diagnostic ignored "-Wpsabi"

/// Elements: sixteen in a row, or two of each of eight groups.
typedef float v16 __attribute__((ext_vector_type(16)));
typedef int i16 __attribute__((ext_vector_type(16)));
typedef float unaligned_v16 __attribute__((ext_vector_type(16), aligned(4)));
typedef int unaligned_i16 __attribute__((ext_vector_type(16), aligned(4)));
/// What eight groups have one of each.
typedef float v8 __attribute__((ext_vector_type(8)));
typedef int i8 __attribute__((ext_vector_type(8)));
typedef float unaligned_v8 __attribute__((ext_vector_type(8), aligned(4)));

INLINE v16 load16(const float *x) { return *(const unaligned_v16 *)x; }
INLINE v8 load8(const float *x) { return *(const unaligned_v8 *)x; }
INLINE void store8(float *y, v8 x) { *(unaligned_v8 *)y = x; }
/// Whole numbers; 0 for what is no number.
INLINE void store_integers(int *y, v16 x) {
    *(unaligned_i16 *)y = __builtin_convertvector(x == x ? x : (v16)0, i16);
}
INLINE v16 joined(v8 lower, v8 upper) {
    return __builtin_shufflevector(lower, upper, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

static inline float magnitude(float x) { return x < 0 ? -x : x; }
static inline int clamped(int x, int lower, int upper) { return x < lower ? lower : x > upper ? upper : x; }

/// The nearest integer, ties to even, of a value within ±2²²; 0 where the value is no number.
static inline int nearest(float x) {
    if (!(magnitude(x) < 0x1p22f)) return x > 0 ? 1 << 22 : x < 0 ? -(1 << 22) : 0;
    return (int)((x + 0x1.8p23f) - 0x1.8p23f);
}
/// The nearest integers in `lower ... upper`.
INLINE v16 nearest_in(v16 x, float lower, float upper) {
    x = x < (v16)lower ? (v16)lower : x;
    x = x > (v16)upper ? (v16)upper : x;
    return (x + 0x1.8p23f) - 0x1.8p23f;
}

/// Values that elements can become, ascending, and what lies half-way between neighbours.
typedef struct { float values[16], middles[15]; } Levels;

static Levels levels_of(const int8_t *values, int count) {
    Levels levels;
    for (int i = 0; i < count; i++) levels.values[i] = (float)values[i];
    for (int i = 0; i + 1 < count; i++) levels.middles[i] = (levels.values[i] + levels.values[i + 1]) / 2;
    return levels;
}

/// The nearest of `count` levels, and their places among them.
INLINE v16 nearest_levels(const Levels *levels, const int count, v16 x, v16 *places) {
    v16 values = levels->values[0];
    *places = 0;
    for (int i = 0; i + 1 < count; i++) {
        const i16 above = x > (v16)levels->middles[i];
        values = above ? (v16)levels->values[i + 1] : values;
        *places = above ? (v16)(float)(i + 1) : *places;
    }
    return values;
}

// MARK: Groups in lanes

/// Of up to eight groups of 16 or 32 elements, the i-th of each and then the i-th of its second half become `pairs[i]`;
/// the first group stands for those that are missing.
INLINE void load_groups(const float *x, const int size, int groups, v16 *pairs) {
    for (int first = 0; first < size / 2; first += 8) {
        v16 *rows = pairs + first;
        for (int i = 0; i < 8; i++) {
            const float *group = x + size * (i < groups ? i : 0) + first;
            rows[i] = joined(load8(group), load8(group + size / 2));
        }
        // Each round moves the highest bit of a row's number to the end of a lane's, and that one's to the row's.
        for (int round = 0; round < 3; round++) {
            v16 mixed[8];
            for (int i = 0; i < 4; i++) {
                mixed[2 * i] = __builtin_shufflevector(
                    rows[i], rows[i + 4], 0, 16, 1, 17, 2, 18, 3, 19, 8, 24, 9, 25, 10, 26, 11, 27);
                mixed[2 * i + 1] = __builtin_shufflevector(
                    rows[i], rows[i + 4], 4, 20, 5, 21, 6, 22, 7, 23, 12, 28, 13, 29, 14, 30, 15, 31);
            }
            for (int i = 0; i < 8; i++) rows[i] = mixed[i];
        }
    }
}

/// Element i of each group.
INLINE v8 element(const v16 *pairs, const int size, int i) {
    return i < size / 2 ? pairs[i].lo : pairs[i - size / 2].hi;
}

/// Each group's sum: the second half is added to the first until one is left.
INLINE v8 sums(const v16 *pairs, const int size) {
    v8 rest[16];
    for (int i = 0; i < size / 2; i++) rest[i] = pairs[i].lo + pairs[i].hi;
    for (int half = size / 4; half > 0; half /= 2) {
        for (int i = 0; i < half; i++) rest[i] += rest[i + half];
    }
    return rest[0];
}

INLINE v8 magnitudes(v8 x) { return __builtin_elementwise_abs(x); }

/// The element of the largest magnitude, the first of several.
INLINE v8 extreme_elements(const v16 *x, const int size) {
    v8 result = element(x, size, 0);
    for (int i = 1; i < size; i++) {
        const v8 other = element(x, size, i);
        result = magnitudes(other) > magnitudes(result) ? other : result;
    }
    return result;
}

/// The best scale so far, and how much it takes off the squared error that zeros have.
typedef struct { v8 scale, gain; } Best;

/// Tries the numbers q nearest to elements times `inverse`: of `count` levels or, where that is 0, whole numbers
/// between the first two of `levels`. Their best scale, which may have to be `positive`, is Σxq / Σq², and takes
/// (Σxq)² / Σq² off the error.
INLINE void try_scale(
    const v16 *x, const int size, v8 inverse, const Levels *levels, const int count, const int positive, Best *best) {
    v16 xq[16], qq[16], places;
    for (int i = 0; i < size / 2; i++) {
        const v16 scaled = x[i] * joined(inverse, inverse);
        const v16 q = count == 0 ? nearest_in(scaled, levels->values[0], levels->values[1])
                                 : nearest_levels(levels, count, scaled, &places);
        xq[i] = x[i] * q;
        qq[i] = q * q;
    }
    const v8 product = sums(xq, size), square = sums(qq, size);
    i8 better = square > (v8)0 & product * product > best->gain * square;
    if (positive) better &= product > (v8)0;
    best->gain = better ? product * product / square : best->gain;
    best->scale = better ? product / square : best->scale;
}

/// The scales for which `scale · q`, with integers `lower ... upper`, comes nearest to eight groups of sixteen
/// elements.
///
/// Candidates put the extreme element at the end of the range, or a little inside or outside of it.
static void best_scales(const float *elements, int lower, int upper, float *scales) {
    v16 x[8];
    load_groups(elements, 16, 8, x);
    const v8 end = extreme_elements(x, 16);
    const Levels range = {{(float)lower, (float)upper}, {0}};
    Best best = {0, 0};
    for (int step = -4; step <= 4; step++) {
        // The longer side of the range holds the extreme, whatever its sign.
        try_scale(x, 16, (v8)((float)lower - 0.2f * (float)step) / end, &range, 0, 0, &best);
    }
    store8(scales, magnitudes(end) > (v8)0x1p-100f ? best.scale : (v8)0);
}

/// The scales and the minima, which are to be subtracted and not negative, for which `scale · q − minimum`, with
/// integers `0 ... upper`, comes nearest to eight groups of 16 or 32 elements.
///
/// As above; the integers of each candidate give scale and minimum by linear regression.
INLINE void best_scales_and_minima(const float *elements, const int size, float upper, float *scales, float *minima) {
    v16 x[16];
    load_groups(elements, size, 8, x);
    v8 least = x[0].lo, most = x[0].lo;
    for (int i = 1; i < size; i++) {
        const v8 other = element(x, size, i);
        least = other < least ? other : least;
        most = other > most ? other : most;
    }
    least = least > (v8)0 ? (v8)0 : least;
    const v8 sum = sums(x, size), n = (float)size;
    v8 scale = (most - least) / upper, minimum = -least, best = 0x1p127f;
    for (int step = -4; step <= 4; step++) {
        const v8 inverse = (upper + 0.2f * (float)step) / (most - least);
        v16 numbers[16], squares[16], products[16];
        for (int i = 0; i < size / 2; i++) {
            numbers[i] = nearest_in((x[i] - joined(least, least)) * joined(inverse, inverse), 0, upper);
            squares[i] = numbers[i] * numbers[i];
            products[i] = x[i] * numbers[i];
        }
        const v8 q = sums(numbers, size), qq = sums(squares, size), xq = sums(products, size);
        const v8 determinant = n * qq - q * q;
        v8 slope = (n * xq - sum * q) / determinant, offset = (qq * sum - q * xq) / determinant;
        slope = offset > (v8)0 ? xq / qq : slope;
        offset = offset > (v8)0 ? (v8)0 : offset;
        // Σ(slope · q + offset − x)², less Σx².
        const v8 error = slope * (slope * qq - 2 * xq) + offset * (n * offset + 2 * (slope * q - sum));
        const i8 better = determinant > (v8)0 & error < best;
        best = better ? error : best;
        scale = better ? slope : scale;
        minimum = better ? -offset : minimum;
    }
    store8(scales, most - least > (v8)0x1p-100f ? scale : (v8)0);
    store8(minima, most - least > (v8)0x1p-100f ? minimum : -least);
}
