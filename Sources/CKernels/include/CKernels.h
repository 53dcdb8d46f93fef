#pragma once

#include <stdint.h>

/// The CPU device's inner loops, each compiled for several instruction sets; `cpu_kernels` picks the
/// best one of this machine. All arrays are dense and row-major unless a stride is given; strides count
/// elements of 4 bytes except where they are said to be bytes. No kernel allocates.
///
/// The order in which an element's terms are added depends on the extents of its own row only: neither
/// on how many rows are computed together nor on the thread that computes them.

#pragma clang assume_nonnull begin

typedef enum {
    CPU_SILU, CPU_GELU, CPU_GELU_ERF, CPU_RELU, CPU_SQUARED_RELU, CPU_SIGMOID, CPU_TANH, CPU_EXP, CPU_SOFTPLUS,
    CPU_ROOT_OF_SOFTPLUS, CPU_ERF, CPU_STEP
} CPUUnary;
typedef enum { CPU_ADD, CPU_SUBTRACT, CPU_MULTIPLY, CPU_DIVIDE, CPU_SECOND } CPUBinary;
typedef enum { CPU_SWIGLU, CPU_GEGLU, CPU_CLAMPED_SWIGLU } CPUGated;
typedef enum { CPU_LAYER_NORM, CPU_RMS_NORM, CPU_L2_NORM, CPU_UNIT_NORM } CPUNorm;

/// Rows of weights, and elements of each, that one call decodes at a time: `scratch` below holds so many. They stay
/// in the nearest caches while all rows of `x` pass by; a row's elements are whole blocks of every type.
enum { CPU_WEIGHT_ROWS = 32, CPU_WEIGHT_COLUMNS = 512 };
/// Queries whose scores one call keeps at a time.
enum { CPU_ATTENTION_ROWS = 16 };
/// Greatest rank of a broadcast once neighbouring dimensions of equal kind are merged.
enum { CPU_MAX_RANK = 8 };

/// `y[i, :] = x[i, :] · weightᵀ` for `rows` rows.
typedef struct {
    const float *x;
    long x_stride;
    /// Which row of `x` is row `i`, or null for `i`.
    const int *_Nullable x_rows;
    const void *weight;
    /// Bytes from one row of the weight to the next.
    long weight_stride;
    /// Bytes of `CPU_WEIGHT_COLUMNS` elements.
    long weight_step;
    /// The tensor type's number in GGUF files; the data is little-endian.
    uint32_t type;
    float *y;
    long y_stride;
    /// Which row of `y` is row `i`, or null for `i`.
    const int *_Nullable y_rows;
    long rows, outputs, inputs;
    /// `CPU_WEIGHT_ROWS × min(inputs, CPU_WEIGHT_COLUMNS)` floats, unused for F32.
    float *scratch;
} CPUMatmul;

/// xIELU's attributes, as `XIELU` names them.
typedef struct {
    float positive, negative, beta, epsilon;
} CPUXIELU;

typedef struct {
    const float *queries, *keys, *values, *mask;
    /// `[H, T, C]` or null.
    const float *_Nullable bias;
    /// `[H]` or null.
    const float *_Nullable sinks;
    float *result;
    long tokens, cells, heads, key_heads, key_size, value_stride, value_size;
    float scale;
    /// 0 for none.
    float softcap;
    /// `CPU_ATTENTION_ROWS × cells` floats.
    float *scratch;
} CPUAttention;

/// A pass over tokens in order, whose state of slot `s` begins at `state + s · slot_size`.
typedef struct {
    float *state;
    long slot_size;
    const int *slots;
    long tokens;
} CPUSlots;

typedef struct {
    /// The instruction set's common name.
    const char *name;

    /// Tensor data of the type with this number in GGUF files: `count` elements, which are whole blocks.
    void (*decode)(uint32_t type, const void *source, float *result, long count);
    /// Rounds to IEEE half precision, ties to even.
    void (*round_to_half)(const float *x, float *y, long count);

    void (*matmul)(const CPUMatmul *);
    /// `y [m, n] = a [m, k] · b [k, n]`. A weight of zero in `a` leaves its row out, whatever that holds.
    void (*weighted_sum)(
        const float *a, long a_stride, const float *b, long b_stride, float *y, long y_stride,
        long m, long n, long k);
    /// Heads `first ..< last`.
    void (*attention)(const CPUAttention *, long first, long last);

    void (*unary)(CPUUnary, const float *x, float *y, long count);
    /// `y = a op b`, with `b`'s stride in each of the dimensions: 0 where it is repeated.
    void (*binary)(
        CPUBinary, const float *a, const float *b, float *y, const long *dimensions,
        const long *b_strides, long rank);
    void (*affine)(const float *x, float *y, long count, float scale, float bias);
    void (*clamp)(const float *x, float *y, long count, float lower, float upper);
    void (*softcap)(const float *x, float *y, long count, float cap);
    void (*xielu)(const float *x, float *y, long count, CPUXIELU);
    void (*gated)(
        CPUGated, const float *gate, const float *up, float *y, long count, float alpha, float limit);
    /// `y [outer, inner] = Σ x [outer, extent, inner]`.
    void (*sum)(const float *x, float *y, long outer, long extent, long inner);
    /// Weight and bias may be null.
    void (*norm)(
        CPUNorm, const float *x, const float *_Nullable weight, const float *_Nullable bias, float *y, long rows,
        long count, double epsilon);
    void (*softmax)(const float *x, float *y, long rows, long count);

    /// Cosine and sine of `position · frequency`, times `magnitude`: `[tokens, pairs]` each.
    void (*rope_table)(
        const int *positions, const double *frequencies, double magnitude, float *cosine, float *sine,
        long tokens, long pairs);
    /// Rotates `pairs` pairs of each head from element `offset` on: `(2i, 2i + 1)`, or with `halves`
    /// `(i, i + pairs)`.
    void (*rope)(
        const float *x, const float *cosine, const float *sine, float *y, long tokens, long heads,
        long head_size, long offset, long pairs, int halves);
    /// 0 where `first[t] <= cell <= last[t]` and the sets meet, else −∞.
    void (*mask)(
        const int *first, const int *last, const int *sequences, const int *cell_positions,
        const int *cell_sequences, float *y, long tokens, long cells);

    /// `y [tokens, cells] = Σ weights [tokens, heads] · max(0, queries · keys) + mask`; `scratch`: `heads × cells`
    /// floats.
    void (*index_scores)(
        const float *queries, const float *keys, const float *weights, const float *mask, float *y, long tokens,
        long heads, long size, long cells, float *scratch);
    /// 0 for the `count` greatest scores of each row that are above −∞, the first of equals first; else −∞.
    void (*top_cells)(const float *scores, float *y, long tokens, long cells, long count);

    /// `group_best`: 1 or 2, of how many experts a group's score is the sum.
    void (*top_experts)(
        const float *scores, int *y, long tokens, long experts, long used, long groups, long groups_used,
        long group_best);

    /// `scratch`: `taps × channels` floats.
    void (*convolution)(
        const CPUSlots *, const float *x, const float *weight, float *y, long channels, long taps,
        float *scratch);
    /// `scratch`: `tokens × heads` floats.
    void (*selective_scan)(
        const CPUSlots *, const float *x, const float *step, const float *decay, const float *b,
        const float *c, float *y, long heads, long head_size, long state_size, long groups,
        long decay_size, float *scratch);
    /// `scratch`: `tokens × heads × gate_size` floats.
    void (*gated_delta_rule)(
        const CPUSlots *, const float *q, const float *k, const float *v, const float *gate,
        const float *beta, float *y, long key_heads, long heads, long size, long gate_size, float scale,
        float *scratch);
    /// `bonus`: null where there is none. `scratch`: `tokens × heads × gate_size` floats.
    void (*linear_attention)(
        const CPUSlots *, const float *q, const float *k, const float *v, const float *gate,
        const float *_Nullable bonus, float *y, long heads, long size, long gate_size, float scale,
        float *scratch);
    void (*wkv7)(
        const CPUSlots *, const float *r, const float *w, const float *k, const float *v, const float *a,
        const float *b, float *y, long heads, long size);
} CPUKernels;

/// The kernels of the best instruction set that this machine has; lives for ever.
const CPUKernels *cpu_kernels(void);

/// Instruction sets that there are kernels for, best first; the last is what the compiler takes for granted.
enum { CPU_INSTRUCTION_SETS = 3 };

/// The kernels for the instruction set of this index, or null if the machine has not got it.
const CPUKernels *_Nullable cpu_kernels_at(long index);

/// The first of `count` indices that is not in `0 ..< limit`, or −1.
long cpu_invalid_index(const int *indices, long count, long limit);

/// `height` rows of `width` elements of 4 bytes each.
void cpu_copy_rows(
    void *destination, long destination_stride, const void *source, long source_stride, long width,
    long height);

#pragma clang assume_nonnull end
