// Searches for the scales of groups of elements, by least squares.
#pragma once

static inline float magnitude(float x) { return x < 0 ? -x : x; }

/// The nearest integer, ties to even, of a value within ±2²²; 0 where the value is no number.
static inline int nearest(float x) {
    if (!(magnitude(x) < 0x1p22f)) return x > 0 ? 1 << 22 : x < 0 ? -(1 << 22) : 0;
    return (int)((x + 0x1.8p23f) - 0x1.8p23f);
}
static inline int clamped(int x, int lower, int upper) { return x < lower ? lower : x > upper ? upper : x; }

/// The element of the largest magnitude, the first of several.
static inline float extreme(const float *x, int count) {
    float result = x[0];
    for (int i = 1; i < count; i++) if (magnitude(x[i]) > magnitude(result)) result = x[i];
    return result;
}

/// The scale for which `scale · q`, with integers `lower ... upper`, comes nearest to the elements.
///
/// Candidates put the extreme element at the end of the range, or a little inside or outside of it; for the integers
/// that each gives, the best scale is Σxq / Σq², and takes (Σxq)² / Σq² off the error.
static float best_scale(const float *x, int count, int lower, int upper) {
    const float end = extreme(x, count);
    if (!(magnitude(end) > 0x1p-100f)) return 0;
    float scale = 0, gain = 0;
    for (int step = -4; step <= 4; step++) {
        // The longer side of the range holds the extreme, whatever its sign.
        const float inverse = ((float)lower - 0.2f * (float)step) / end;
        float xq = 0, qq = 0;
        for (int i = 0; i < count; i++) {
            const float q = (float)clamped(nearest(x[i] * inverse), lower, upper);
            xq += x[i] * q;
            qq += q * q;
        }
        if (qq > 0 && xq * xq > gain * qq) {
            gain = xq * xq / qq;
            scale = xq / qq;
        }
    }
    return scale;
}

/// The scale and the minimum, which is to be subtracted and not negative, for which `scale · q − minimum`, with
/// integers `0 ... upper`, comes nearest to the elements.
///
/// As above; the integers of each candidate give scale and minimum by linear regression.
static float best_scale_and_minimum(const float *x, int count, int upper, float *minimum) {
    float least = x[0], most = x[0], sum = 0;
    for (int i = 0; i < count; i++) {
        least = x[i] < least ? x[i] : least;
        most = x[i] > most ? x[i] : most;
        sum += x[i];
    }
    if (least > 0) least = 0;
    *minimum = -least;
    if (!(most - least > 0x1p-100f)) return 0;
    float scale = (most - least) / (float)upper, error = 0;
    for (int i = 0; i < count; i++) {
        const float rest = scale * (float)clamped(nearest((x[i] - least) / scale), 0, upper) + least - x[i];
        error += rest * rest;
    }
    for (int step = -8; step <= 8; step++) {
        const float inverse = ((float)upper + 0.125f * (float)step) / (most - least);
        float q1 = 0, q2 = 0, xq = 0;
        int quants[32];
        for (int i = 0; i < count; i++) {
            quants[i] = clamped(nearest((x[i] - least) * inverse), 0, upper);
            const float q = (float)quants[i];
            q1 += q;
            q2 += q * q;
            xq += x[i] * q;
        }
        const float determinant = (float)count * q2 - q1 * q1;
        if (!(determinant > 0)) continue;
        float slope = ((float)count * xq - sum * q1) / determinant;
        float offset = (q2 * sum - q1 * xq) / determinant;
        if (offset > 0) {
            offset = 0;
            slope = xq / q2;
        }
        float squares = 0;
        for (int i = 0; i < count; i++) {
            const float rest = slope * (float)quants[i] + offset - x[i];
            squares += rest * rest;
        }
        if (squares < error) {
            error = squares;
            scale = slope;
            *minimum = -offset;
        }
    }
    return scale;
}
