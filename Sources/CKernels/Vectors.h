// Vectors of `LANES` floats. Everything here is inlined, so that it takes on the instruction set of the
// file that includes it.

#define INLINE static inline __attribute__((always_inline))

typedef float vf __attribute__((ext_vector_type(LANES)));
typedef int vi __attribute__((ext_vector_type(LANES)));
typedef unsigned vu __attribute__((ext_vector_type(LANES)));
typedef float f4 __attribute__((ext_vector_type(4)));
typedef float unaligned_vf __attribute__((ext_vector_type(LANES), aligned(1)));
typedef float unaligned_f4 __attribute__((ext_vector_type(4), aligned(1)));
#if LANES > 4 || defined(__aarch64__)
typedef _Float16 unaligned_f16 __attribute__((ext_vector_type(LANES), aligned(1)));
#endif
typedef unsigned short unaligned_u16 __attribute__((ext_vector_type(LANES), aligned(1)));
typedef signed char unaligned_i8 __attribute__((ext_vector_type(LANES), aligned(1)));

INLINE vf splat(float x) { return (vf)x; }
INLINE vf load(const float *p) { return *(const unaligned_vf *)p; }
INLINE void store(float *p, vf v) { *(unaligned_vf *)p = v; }

/// The first `n` of the lanes, 0 < n < LANES, and zeros; reads nothing beyond them.
INLINE vf load_part(const float *p, long n) {
#if LANES == 16
    return (vf)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#elif LANES == 8
    const vi lane = {0, 1, 2, 3, 4, 5, 6, 7};
    return (vf)_mm256_maskload_ps(p, (__m256i)(lane < (vi)(int)n));
#else
    vf v = 0;
    for (long i = 0; i < n; i++) v[i] = p[i];
    return v;
#endif
}
INLINE void store_part(float *p, vf v, long n) {
#if LANES == 16
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
#elif LANES == 8
    const vi lane = {0, 1, 2, 3, 4, 5, 6, 7};
    _mm256_maskstore_ps(p, (__m256i)(lane < (vi)(int)n), (__m256)v);
#else
    for (long i = 0; i < n; i++) p[i] = v[i];
#endif
}

/// Runs the body over `count` elements with `i` and `n`: whole vectors (`n == LANES`), then the rest.
#define FOR_EACH_VECTOR(count, ...)                                                                   \
    {                                                                                                 \
        long i = 0;                                                                                   \
        for (; i + LANES <= (count); i += LANES) { const long n = LANES; (void)n; __VA_ARGS__ }       \
        if (i < (count)) { const long n = (count) - i; (void)n; __VA_ARGS__ }                         \
    }
#define LOAD(p) (n == LANES ? load(p) : load_part(p, n))
#define STORE(p, v) do { vf v_ = (v); if (n == LANES) store(p, v_); else store_part(p, v_, n); } while (0)

INLINE vf minimum(vf a, vf b) { return a < b ? a : b; }
INLINE vf maximum(vf a, vf b) { return a > b ? a : b; }

#define SHUFFLE __builtin_shufflevector

#if LANES == 16
typedef float f8 __attribute__((ext_vector_type(8)));
INLINE f8 folded(vf v) { return v.lo + v.hi; }
#elif LANES == 8
typedef vf f8;
INLINE f8 folded(vf v) { return v; }
#endif

/// Adds the lanes, the upper half to the lower until one is left.
INLINE float sum(vf v) {
#if LANES > 4
    const f8 half = folded(v);
    const f4 quarter = half.lo + half.hi;
#else
    const f4 quarter = v;
#endif
    return (quarter[0] + quarter[2]) + (quarter[1] + quarter[3]);
}

/// The sums of four vectors in the order of `sum`, sharing the work.
INLINE f4 sum4(vf a, vf b, vf c, vf d) {
#if LANES > 4
    const f8 a8 = folded(a), b8 = folded(b), c8 = folded(c), d8 = folded(d);
    const f8 ab = SHUFFLE(a8, b8, 0, 1, 2, 3, 8, 9, 10, 11) + SHUFFLE(a8, b8, 4, 5, 6, 7, 12, 13, 14, 15);
    const f8 cd = SHUFFLE(c8, d8, 0, 1, 2, 3, 8, 9, 10, 11) + SHUFFLE(c8, d8, 4, 5, 6, 7, 12, 13, 14, 15);
    // Now a and b, c and d, four lanes each; the pairs that remain are a, c, b, d.
    const f8 pairs = SHUFFLE(ab, cd, 0, 1, 8, 9, 4, 5, 12, 13) + SHUFFLE(ab, cd, 2, 3, 10, 11, 6, 7, 14, 15);
    const f4 low = pairs.lo, high = pairs.hi;
    const f4 acbd = SHUFFLE(low, high, 0, 2, 4, 6) + SHUFFLE(low, high, 1, 3, 5, 7);
    return SHUFFLE(acbd, acbd, 0, 2, 1, 3);
#else
    const vf ab = SHUFFLE(a, b, 0, 1, 4, 5) + SHUFFLE(a, b, 2, 3, 6, 7);
    const vf cd = SHUFFLE(c, d, 0, 1, 4, 5) + SHUFFLE(c, d, 2, 3, 6, 7);
    return SHUFFLE(ab, cd, 0, 2, 4, 6) + SHUFFLE(ab, cd, 1, 3, 5, 7);
#endif
}

INLINE float largest(vf v) {
    float m = v[0];
    for (int i = 1; i < LANES; i++) m = v[i] > m ? v[i] : m;
    return m;
}
