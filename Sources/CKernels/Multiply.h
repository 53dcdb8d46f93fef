// Decoding of weight rows, and matrix products.

#include "CQuants.h"
#include "Decoders.h"

/// Rounds the significand at bit 13; below the normal halves, at 2⁻²⁴ by an addition that drops the rest.
INLINE vf rounded_to_half(vf x) {
    const vu bits = (vu)x, sign = bits & 0x80000000u, magnitude = bits & 0x7fffffffu;
    const vf subnormal = ((vf)magnitude + splat(0.5f)) - splat(0.5f);
    const vu rounded = (magnitude + 0xfffu + ((magnitude >> 13) & 1u)) & ~0x1fffu;
    const vu finite = magnitude < 0x38800000u ? (vu)subnormal : (rounded >= 0x47800000u ? (vu)0x7f800000u : rounded);
    return (vf)((magnitude > 0x7f800000u ? magnitude : finite) | sign);
}

static void round_to_half(const float *x, float *y, long count) {
    FOR_EACH_VECTOR(count, STORE(y + i, rounded_to_half(LOAD(x + i)));)
}

#if LANES > 4 || defined(__aarch64__)
/// These instruction sets convert by themselves.
static void decode_halves(const unsigned char *source, float *result, long count) {
    long i = 0;
    for (; i + LANES <= count; i += LANES) {
        store(result + i, __builtin_convertvector(*(const unaligned_f16 *)(source + 2 * i), vf));
    }
    decode_elements(QUANTS_F16, source + 2 * i, result + i, count - i);
}
#endif

static void decode_bfloats(const unsigned char *source, float *result, long count) {
    long i = 0;
    for (; i + LANES <= count; i += LANES) {
        store(result + i, (vf)(__builtin_convertvector(*(const unaligned_u16 *)(source + 2 * i), vu) << 16));
    }
    decode_elements(QUANTS_BF16, source + 2 * i, result + i, count - i);
}

static void decode(uint32_t type, const void *source, float *result, long count) {
    switch (type) {
    case QUANTS_F32: memcpy(result, source, 4 * count); break;
#if LANES > 4 || defined(__aarch64__)
    case QUANTS_F16: decode_halves(source, result, count); break;
#endif
    case QUANTS_BF16: decode_bfloats(source, result, count); break;
    default: decode_elements(type, source, result, count);
    }
}

/// `rows × columns` dot products of `count` elements, all sums in registers; `adds` to what `y` holds. The extents are
/// constants at each call, so the loops over them unroll.
INLINE void dot_tile(
    const long rows, const long columns, const float *const *x, const float *w, long w_stride, float *const *y,
    long column, long count, int adds) {
    vf sums[TILE_SUMS];
    for (long s = 0; s < rows * columns; s++) sums[s] = 0;
    FOR_EACH_VECTOR(count, {
        vf a[TILE_ROWS];
        for (long r = 0; r < rows; r++) a[r] = LOAD(x[r] + i);
        for (long c = 0; c < columns; c++) {
            const vf b = LOAD(w + (column + c) * w_stride + i);
            for (long r = 0; r < rows; r++) sums[r * columns + c] += a[r] * b;
        }
    })
    for (long r = 0; r < rows; r++) {
        const vf *s = sums + r * columns;
        float *result = y[r] + column;
        if (columns == 1) {
            *result = adds ? *result + sum(s[0]) : sum(s[0]);
            continue;
        }
        for (long c = 0; c < columns; c += 4) {
            const f4 four = sum4(s[c], s[c + 1], s[c + 2], s[c + 3]);
            unaligned_f4 *place = (unaligned_f4 *)(result + c);
            *place = adds ? *place + four : four;
        }
    }
}

/// All columns for a few rows; fewer rows take more columns at a time, to keep as many sums under way.
INLINE void dot_tiles(
    const long rows, const float *const *x, const float *w, long w_stride, float *const *y, long columns, long count,
    int adds) {
    const long fitting = TILE_SUMS / rows / 4 * 4, wide = fitting < CPU_WEIGHT_ROWS ? fitting : CPU_WEIGHT_ROWS;
    long c = 0;
    for (; c + wide <= columns; c += wide) dot_tile(rows, wide, x, w, w_stride, y, c, count, adds);
    for (; c + 4 <= columns; c += 4) dot_tile(rows, 4, x, w, w_stride, y, c, count, adds);
    for (; c < columns; c++) dot_tile(rows, 1, x, w, w_stride, y, c, count, adds);
}

/// A panel of decoded weights, `columns` rows of `count` elements, with all rows of `x` from element `start` on.
static void matmul_panel(
    const CPUMatmul *m, const float *w, long w_stride, long first, long columns, long start, long count) {
    for (long row = 0; row < m->rows; row += TILE_ROWS) {
        const long rows = m->rows - row < TILE_ROWS ? m->rows - row : TILE_ROWS;
        const float *x[TILE_ROWS];
        float *y[TILE_ROWS];
        for (long r = 0; r < rows; r++) {
            x[r] = m->x + (m->x_rows ? m->x_rows[row + r] : row + r) * m->x_stride + start;
            y[r] = m->y + (m->y_rows ? m->y_rows[row + r] : row + r) * m->y_stride + first;
        }
        switch (rows) {
#define ROWS(n) case n: dot_tiles(n, x, w, w_stride, y, columns, count, start > 0); break;
        ROWS(1)
        ROWS(2)
#if TILE_ROWS > 2
        ROWS(3)
#endif
#if TILE_ROWS > 3
        ROWS(4)
#endif
#if TILE_ROWS > 4
        ROWS(5)
        ROWS(6)
#endif
#undef ROWS
        }
    }
}

static void matmul(const CPUMatmul *m) {
    for (long first = 0; first < m->outputs; first += CPU_WEIGHT_ROWS) {
        const long columns = m->outputs - first < CPU_WEIGHT_ROWS ? m->outputs - first : CPU_WEIGHT_ROWS;
        const char *encoded = (const char *)m->weight + first * m->weight_stride;
        for (long start = 0; start < m->inputs || start == 0; start += CPU_WEIGHT_COLUMNS) {
            const long count = m->inputs - start < CPU_WEIGHT_COLUMNS ? m->inputs - start : CPU_WEIGHT_COLUMNS;
            const char *part = encoded + start / CPU_WEIGHT_COLUMNS * m->weight_step;
            if (m->type == QUANTS_F32) {
                matmul_panel(m, (const float *)part, m->weight_stride / 4, first, columns, start, count);
                continue;
            }
            for (long c = 0; c < columns; c++) {
                decode(m->type, part + c * m->weight_stride, m->scratch + c * count, count);
            }
            matmul_panel(m, m->scratch, count, first, columns, start, count);
        }
    }
}

/// `n` elements of `a · b` without the rows of `b` whose weight is zero.
static void sum_weighed(const float *a, const float *b, long b_stride, float *y, long n, long count) {
    for (long i = 0; i < n; i++) {
        float total = 0;
        for (long k = 0; k < count; k++) if (a[k] != 0) total += a[k] * b[k * b_stride + i];
        y[i] = total;
    }
}

/// `rows` rows of `vectors` vectors of `a · b`, the last of `n` lanes.
INLINE void sum_tile(
    const long rows, const long vectors, const long n, const float *a, long a_stride, const float *b,
    long b_stride, float *y, long y_stride, long count) {
    vf sums[TILE_ROWS][4];
    for (long r = 0; r < rows; r++) for (long v = 0; v < vectors; v++) sums[r][v] = 0;
    for (long k = 0; k < count; k++) {
        vf bk[4];
        for (long v = 0; v < vectors; v++) bk[v] = LOAD(b + k * b_stride + v * LANES);
        for (long r = 0; r < rows; r++) {
            const vf ak = splat(a[r * a_stride + k]);
            for (long v = 0; v < vectors; v++) sums[r][v] += ak * bk[v];
        }
    }
    for (long r = 0; r < rows; r++) {
        for (long v = 0; v < vectors; v++) {
            float *result = y + r * y_stride + v * LANES;
            STORE(result, sums[r][v]);
            // Zero times an infinity or a NaN may have come in: rare enough to begin again.
            if (__builtin_reduce_or(sums[r][v] != sums[r][v])) {
                sum_weighed(a + r * a_stride, b + v * LANES, b_stride, result, n, count);
            }
        }
    }
}

INLINE void sum_rows(
    const long rows, const float *a, long a_stride, const float *b, long b_stride, float *y,
    long y_stride, long width, long count) {
    long column = 0;
    for (; column + 4 * LANES <= width; column += 4 * LANES) {
        sum_tile(rows, 4, LANES, a, a_stride, b + column, b_stride, y + column, y_stride, count);
    }
    for (; column + LANES <= width; column += LANES) {
        sum_tile(rows, 1, LANES, a, a_stride, b + column, b_stride, y + column, y_stride, count);
    }
    if (column < width) {
        sum_tile(rows, 1, width - column, a, a_stride, b + column, b_stride, y + column, y_stride, count);
    }
}

static void weighted_sum(
    const float *a, long a_stride, const float *b, long b_stride, float *y, long y_stride, long m, long n,
    long k) {
    long row = 0;
    for (; row + TILE_ROWS <= m; row += TILE_ROWS) {
        sum_rows(TILE_ROWS, a + row * a_stride, a_stride, b, b_stride, y + row * y_stride, y_stride, n, k);
    }
    for (; row < m; row++) sum_rows(1, a + row * a_stride, a_stride, b, b_stride, y + row * y_stride, y_stride, n, k);
}
