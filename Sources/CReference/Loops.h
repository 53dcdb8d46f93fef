// The loops, for the instruction set of the code that includes this; `NAME(f)` names its version of `f`.

typedef double NAME(vector) __attribute__((ext_vector_type(8)));
typedef double NAME(unaligned) __attribute__((ext_vector_type(8), aligned(8)));
#define V NAME(vector)
#define LOAD(p) (*(const NAME(unaligned) *)(p))
#define STORE(p, v) (*(NAME(unaligned) *)(p) = (v))
#define TOTAL(v) ((((v)[0] + (v)[4]) + ((v)[2] + (v)[6])) + (((v)[1] + (v)[5]) + ((v)[3] + (v)[7])))

/// `R` rows by `N` outputs at a time: that many sums need not wait for each other.
#define TILE(R, N)                                                                                     \
    static inline __attribute__((always_inline)) void NAME(tile_##R##_##N)(                            \
        const double *x, const double *w, double *y, long outputs, long inputs) {                      \
        V sums[R][N] = {{0}};                                                                          \
        long k = 0;                                                                                    \
        for (; k + 8 <= inputs; k += 8) {                                                              \
            V a[R];                                                                                    \
            for (int r = 0; r < R; r++) a[r] = LOAD(x + r * inputs + k);                               \
            for (int n = 0; n < N; n++) {                                                              \
                const V b = LOAD(w + n * inputs + k);                                                  \
                for (int r = 0; r < R; r++) sums[r][n] += a[r] * b;                                    \
            }                                                                                          \
        }                                                                                              \
        for (int r = 0; r < R; r++) {                                                                  \
            for (int n = 0; n < N; n++) {                                                              \
                double rest = 0;                                                                       \
                for (long i = k; i < inputs; i++) rest += x[r * inputs + i] * w[n * inputs + i];       \
                y[r * outputs + n] = TOTAL(sums[r][n]) + rest;                                         \
            }                                                                                          \
        }                                                                                              \
    }
TILE(2, 4)
TILE(1, 4)
TILE(1, 1)

static void NAME(products)(
    const double *x, const double *w, double *y, double *squares, long rows, long outputs, long inputs) {
    if (squares) {
        for (long r = 0; r < rows; r++) {
            for (long n = 0; n < outputs; n++) {
                const double *a = x + r * inputs, *b = w + n * inputs;
                V sums = 0, square_sums = 0;
                double rest = 0, square_rest = 0;
                long k = 0;
                for (; k + 8 <= inputs; k += 8) {
                    const V p = LOAD(a + k) * LOAD(b + k);
                    sums += p;
                    square_sums += p * p;
                }
                for (; k < inputs; k++) {
                    const double p = a[k] * b[k];
                    rest += p;
                    square_rest += p * p;
                }
                y[r * outputs + n] = TOTAL(sums) + rest;
                squares[r * outputs + n] = TOTAL(square_sums) + square_rest;
            }
        }
        return;
    }
    // The weights of a few outputs stay in the nearest cache while the rows pass by.
    long n = 0;
    for (; n + 4 <= outputs; n += 4) {
        const double *b = w + n * inputs;
        long r = 0;
        for (; r + 2 <= rows; r += 2) NAME(tile_2_4)(x + r * inputs, b, y + r * outputs + n, outputs, inputs);
        if (r < rows) NAME(tile_1_4)(x + r * inputs, b, y + r * outputs + n, outputs, inputs);
    }
    for (; n < outputs; n++) {
        const double *b = w + n * inputs;
        for (long r = 0; r < rows; r++) NAME(tile_1_1)(x + r * inputs, b, y + r * outputs + n, outputs, inputs);
    }
}

static void NAME(add)(double scale, const double *x, double *y, double *squares, long count) {
    long i = 0;
    for (; i + 8 <= count; i += 8) {
        const V p = scale * LOAD(x + i);
        STORE(y + i, LOAD(y + i) + p);
        if (squares) STORE(squares + i, LOAD(squares + i) + p * p);
    }
    for (; i < count; i++) {
        const double p = scale * x[i];
        y[i] += p;
        if (squares) squares[i] += p * p;
    }
}

static void NAME(scale)(double scale, double *y, long count) {
    long i = 0;
    for (; i + 8 <= count; i += 8) STORE(y + i, LOAD(y + i) * scale);
    for (; i < count; i++) y[i] *= scale;
}

/// `2ᵏ · e^r` with `|r| ≤ ln 2 / 2`, of which the Taylor polynomial of degree 13 gives every bit. `ln 2` is in two
/// parts, the first short enough that its product with `k` is exact.
static inline __attribute__((always_inline)) void NAME(exp8)(const double *x, double *y) {
    typedef int64_t integers __attribute__((ext_vector_type(8)));
    V v = LOAD(x);
    v = v > 710 ? (V)710.0 : v;
    v = v < -746 ? (V)-746.0 : v;
    // Adding this rounds to an integer, which the lower bits of the sum then hold.
    const V magic = 0x1.8p52;
    const V shifted = v * 0x1.71547652b82fep0 + magic;
    const V k = shifted - magic;
    const V r = (v - k * 0x1.62e42feep-1) - k * 0x1.a39ef35793c76p-33;
    V p = 1.0 / 6227020800;
    static const double factorials[] = {479001600, 39916800, 3628800, 362880, 40320, 5040, 720, 120, 24, 6, 2, 1, 1};
    for (int i = 0; i < 13; i++) p = p * r + 1 / factorials[i];
    // In two factors, since 2ᵏ may be out of range where the result is not.
    const integers exponent = (integers)shifted - (integers)magic, half = exponent >> 1;
    STORE(y, p * (V)((half + 1023) << 52) * (V)((exponent - half + 1023) << 52));
}

static void NAME(exp)(const double *x, double *y, long count) {
    long i = 0;
    for (; i + 8 <= count; i += 8) NAME(exp8)(x + i, y + i);
    if (i < count) {
        double rest[8] = {0};
        memcpy(rest, x + i, (count - i) * sizeof(double));
        NAME(exp8)(rest, rest);
        memcpy(y + i, rest, (count - i) * sizeof(double));
    }
}

static void NAME(round)(double *y, long count, double unit, uint64_t counter) {
    for (long i = 0; i < count; i++) y[i] *= 1 + unit * symmetric(counter, i);
}

static void NAME(add_error)(double *y, const double *squares, long count, double unit, uint64_t counter) {
    for (long i = 0; i < count; i++) y[i] += unit * sqrt(squares[i]) * symmetric(counter, i);
}

#undef V
#undef LOAD
#undef STORE
#undef TOTAL
#undef TILE
