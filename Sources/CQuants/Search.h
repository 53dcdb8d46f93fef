// Searches for the scales of groups of elements, by least squares.
#pragma once

#define INLINE static inline __attribute__((always_inline))

// All functions that take vectors are inlined, so that no calling convention matters.
#pragma clang diagnostic ignored "-Wpsabi"

/// Sixteen elements, whatever the instruction set, so that sums have one order.
typedef float v16 __attribute__((ext_vector_type(16)));
typedef int i16 __attribute__((ext_vector_type(16)));
typedef float unaligned_v16 __attribute__((ext_vector_type(16), aligned(4)));
typedef int unaligned_i16 __attribute__((ext_vector_type(16), aligned(4)));
typedef float v8 __attribute__((ext_vector_type(8)));
typedef float v4 __attribute__((ext_vector_type(4)));

INLINE v16 load16(const float *x) { return *(const unaligned_v16 *)x; }
/// Whole numbers; 0 for what is no number.
INLINE void store_integers(int *y, v16 x) {
    *(unaligned_i16 *)y = __builtin_convertvector(x == x ? x : (v16)0, i16);
}
INLINE float sum16(v16 x) {
    const v8 half = x.lo + x.hi;
    const v4 quarter = half.lo + half.hi;
    return (quarter[0] + quarter[2]) + (quarter[1] + quarter[3]);
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

/// The element of the largest magnitude, the first of several.
static inline float extreme(const float *x, int count) {
    float result = x[0];
    for (int i = 1; i < count; i++) if (magnitude(x[i]) > magnitude(result)) result = x[i];
    return result;
}

/// The scale for which `scale · q`, with integers `lower ... upper`, comes nearest to sixteen elements.
///
/// Candidates put the extreme element at the end of the range, or a little inside or outside of it; for the integers
/// that each gives, the best scale is Σxq / Σq², and takes (Σxq)² / Σq² off the error.
static float best_scale(const float *elements, int lower, int upper) {
    const v16 x = load16(elements);
    const float end = extreme(elements, 16);
    if (!(magnitude(end) > 0x1p-100f)) return 0;
    float scale = 0, gain = 0;
    for (int step = -4; step <= 4; step++) {
        // The longer side of the range holds the extreme, whatever its sign.
        const float inverse = ((float)lower - 0.2f * (float)step) / end;
        const v16 q = nearest_in(x * inverse, (float)lower, (float)upper);
        const float xq = sum16(x * q), qq = sum16(q * q);
        if (qq > 0 && xq * xq > gain * qq) {
            gain = xq * xq / qq;
            scale = xq / qq;
        }
    }
    return scale;
}

/// The scale and the minimum, which is to be subtracted and not negative, for which `scale · q − minimum`, with
/// integers `0 ... upper`, comes nearest to 16 or 32 elements.
///
/// As above; the integers of each candidate give scale and minimum by linear regression.
INLINE float best_scale_and_minimum(const float *elements, const int count, int upper, float *minimum) {
    const v16 x0 = load16(elements), x1 = count > 16 ? load16(elements + 16) : (v16)0;
    float least = elements[0], most = elements[0];
    for (int i = 1; i < count; i++) {
        least = elements[i] < least ? elements[i] : least;
        most = elements[i] > most ? elements[i] : most;
    }
    if (least > 0) least = 0;
    *minimum = -least;
    if (!(most - least > 0x1p-100f)) return 0;
    const float sum = sum16(x0 + x1), n = (float)count;
    float scale = (most - least) / (float)upper, best = 0x1p127f;
    for (int step = -4; step <= 4; step++) {
        const float inverse = ((float)upper + 0.2f * (float)step) / (most - least);
        const v16 q0 = nearest_in((x0 - least) * inverse, 0, (float)upper);
        const v16 q1 = count > 16 ? nearest_in((x1 - least) * inverse, 0, (float)upper) : (v16)0;
        const float q = sum16(q0 + q1), qq = sum16(q0 * q0 + q1 * q1), xq = sum16(x0 * q0 + x1 * q1);
        const float determinant = n * qq - q * q;
        if (!(determinant > 0)) continue;
        float slope = (n * xq - sum * q) / determinant, offset = (qq * sum - q * xq) / determinant;
        if (offset > 0) {
            offset = 0;
            slope = xq / qq;
        }
        // Σ(slope · q + offset − x)², less Σx².
        const float error = slope * (slope * qq - 2 * xq) + offset * (n * offset + 2 * (slope * q - sum));
        if (error < best) {
            best = error;
            scale = slope;
            *minimum = -offset;
        }
    }
    return scale;
}
