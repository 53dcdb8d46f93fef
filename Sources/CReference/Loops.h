// The loops, for the instruction set of the code that includes this; `NAME(f)` names its version of `f`.

typedef double NAME(vector) __attribute__((ext_vector_type(8)));
typedef double NAME(unaligned) __attribute__((ext_vector_type(8), aligned(8)));
typedef int64_t NAME(integers) __attribute__((ext_vector_type(8)));
#define V NAME(vector)
#define LOAD(p) (*(const NAME(unaligned) *)(p))
#define STORE(p, v) (*(NAME(unaligned) *)(p) = (v))
#define SHUFFLE __builtin_shufflevector
#define INLINE static inline __attribute__((always_inline))

/// The totals of eight vectors: neighbours are added, then pairs, then halves.
INLINE void NAME(totals8)(const V *v, double *result) {
    V pairs[4], quarters[2];
    for (int i = 0; i < 4; i++) {
        const V a = v[2 * i], b = v[2 * i + 1];
        pairs[i] = SHUFFLE(a, b, 0, 8, 2, 10, 4, 12, 6, 14) + SHUFFLE(a, b, 1, 9, 3, 11, 5, 13, 7, 15);
    }
    for (int i = 0; i < 2; i++) {
        const V a = pairs[2 * i], b = pairs[2 * i + 1];
        quarters[i] = SHUFFLE(a, b, 0, 1, 8, 9, 4, 5, 12, 13) + SHUFFLE(a, b, 2, 3, 10, 11, 6, 7, 14, 15);
    }
    const V a = quarters[0], b = quarters[1];
    STORE(result, SHUFFLE(a, b, 0, 1, 2, 3, 8, 9, 10, 11) + SHUFFLE(a, b, 4, 5, 6, 7, 12, 13, 14, 15));
}

/// The total of one, in the same order.
INLINE double NAME(total)(const V *v) {
    const V a = *v;
    return ((a[0] + a[1]) + (a[2] + a[3])) + ((a[4] + a[5]) + (a[6] + a[7]));
}

/// Which row of the operand or result is row `r`.
#define ROW(rows, r) ((rows) ? (rows)[r] : (r))

/// The sum so far and one term more: a product, or its square.
#define PLUS(sum, a, b, squared) ((squared) ? (sum) + ((a) * (b)) * ((a) * (b)) : (sum) + (a) * (b))

/// `results[r, n] = Σ_k x[r][k] · w[n, k]`, eight of them, so that no sum need wait for the one before.
INLINE void NAME(tile8)(
    const double *const *x, const double *w, double *results, long inputs, const int outputs, const int squared) {
    V sums[8] = {0};
    long k = 0;
    for (; k + 8 <= inputs; k += 8) {
        for (int n = 0; n < outputs; n++) {
            const V b = LOAD(w + n * inputs + k);
            for (int r = 0; r < 8 / outputs; r++) {
                const V a = LOAD(x[r] + k);
                sums[r * outputs + n] = PLUS(sums[r * outputs + n], a, b, squared);
            }
        }
    }
    NAME(totals8)(sums, results);
    if (k == inputs) return;
    double rests[8] = {0};
    for (; k < inputs; k++) {
        for (int i = 0; i < 8; i++) {
            rests[i] = PLUS(rests[i], x[i / outputs][k], w[i % outputs * inputs + k], squared);
        }
    }
    STORE(results, LOAD(results) + LOAD(rests));
}

/// One such sum, in the same order.
INLINE double NAME(dot)(const double *a, const double *b, long inputs, const int squared) {
    V sum = 0;
    double rest = 0;
    long k = 0;
    for (; k + 8 <= inputs; k += 8) sum = PLUS(sum, LOAD(a + k), LOAD(b + k), squared);
    for (; k < inputs; k++) rest = PLUS(rest, a[k], b[k], squared);
    return NAME(total)(&sum) + rest;
}

INLINE void NAME(sums)(
    const double *x, const long *x_rows, const double *w, double *y, const long *y_rows, long rows, long outputs,
    long inputs, const int squared) {
    const long pairs = rows / 2 * 2;
    long n = 0;
    // The weights of a few outputs stay in the nearest cache while the rows pass by.
    for (; pairs > 0 && n + 4 <= outputs; n += 4) {
        for (long r = 0; r < pairs; r += 2) {
            const double *pair[] = {x + ROW(x_rows, r) * inputs, x + ROW(x_rows, r + 1) * inputs};
            double results[8];
            NAME(tile8)(pair, w + n * inputs, results, inputs, 4, squared);
            memcpy(y + ROW(y_rows, r) * outputs + n, results, sizeof results / 2);
            memcpy(y + ROW(y_rows, r + 1) * outputs + n, results + 4, sizeof results / 2);
        }
    }
    long r = 0;
    for (; n < outputs && r + 8 <= pairs; r += 8) {
        const double *eight[8];
        for (int i = 0; i < 8; i++) eight[i] = x + ROW(x_rows, r + i) * inputs;
        for (long m = n; m < outputs; m++) {
            double results[8];
            NAME(tile8)(eight, w + m * inputs, results, inputs, 1, squared);
            for (int i = 0; i < 8; i++) y[ROW(y_rows, r + i) * outputs + m] = results[i];
        }
    }
    for (; r < rows; r++) {
        const double *row = x + ROW(x_rows, r) * inputs;
        double *result = y + ROW(y_rows, r) * outputs;
        long m = r < pairs ? n : 0;
        for (; m + 8 <= outputs; m += 8) NAME(tile8)(&row, w + m * inputs, result + m, inputs, 8, squared);
        for (; m < outputs; m++) result[m] = NAME(dot)(row, w + m * inputs, inputs, squared);
    }
}

static void NAME(products)(
    const double *x, const long *x_rows, const double *w, double *y, double *squares, const long *y_rows, long rows,
    long outputs, long inputs) {
    NAME(sums)(x, x_rows, w, y, y_rows, rows, outputs, inputs, 0);
    if (squares) NAME(sums)(x, x_rows, w, squares, y_rows, rows, outputs, inputs, 1);
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
INLINE void NAME(exp8)(const double *x, double *y) {
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
    const NAME(integers) exponent = (NAME(integers))shifted - (NAME(integers))magic, half = exponent >> 1;
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
    for (long i = 0; i < count; i++) {
        double random = symmetric(counter, i), rounded = y[i] * (1 + unit * random);
        // Below float32's least normal number, there are only multiples of its least one: either neighbour.
        double steps = floor(rounded * 0x1p149 + (random + 1) / 2);
        y[i] = fabs(rounded) < 0x1p-126 ? steps * 0x1p-149 : rounded;
    }
}

static void NAME(add_error)(double *y, const double *squares, long count, double unit, uint64_t counter) {
    for (long i = 0; i < count; i++) y[i] += unit * sqrt(squares[i]) * symmetric(counter, i);
}

#undef V
#undef LOAD
#undef STORE
#undef SHUFFLE
#undef PLUS
#undef ROW
#undef INLINE
