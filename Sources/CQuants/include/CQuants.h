#pragma once

#include <stdint.h>

/// The tensor types of the GGUF format: what their bytes mean, and how numbers become bytes.
///
/// All data is little-endian, whatever the machine, and may start at any address. Nothing here allocates,
/// and no result depends on the instruction set.

#pragma clang assume_nonnull begin

/// Numbered as in GGUF files.
enum {
    QUANTS_F32 = 0, QUANTS_F16 = 1, QUANTS_Q4_0 = 2, QUANTS_Q4_1 = 3, QUANTS_Q5_0 = 6, QUANTS_Q5_1 = 7,
    QUANTS_Q8_0 = 8, QUANTS_Q8_1 = 9, QUANTS_Q2_K = 10, QUANTS_Q3_K = 11, QUANTS_Q4_K = 12, QUANTS_Q5_K = 13,
    QUANTS_Q6_K = 14, QUANTS_Q8_K = 15, QUANTS_IQ2_XXS = 16, QUANTS_IQ2_XS = 17, QUANTS_IQ3_XXS = 18,
    QUANTS_IQ1_S = 19, QUANTS_IQ4_NL = 20, QUANTS_IQ3_S = 21, QUANTS_IQ2_S = 22, QUANTS_IQ4_XS = 23,
    QUANTS_I8 = 24, QUANTS_I16 = 25, QUANTS_I32 = 26, QUANTS_I64 = 27, QUANTS_F64 = 28, QUANTS_IQ1_M = 29,
    QUANTS_BF16 = 30, QUANTS_TQ1_0 = 34, QUANTS_TQ2_0 = 35, QUANTS_MXFP4 = 39, QUANTS_NVFP4 = 40,
    QUANTS_Q1_0 = 41, QUANTS_Q2_0 = 42,
};

/// The conversions below, for one instruction set. All give the same results.
typedef struct {
    void (*decode)(uint32_t type, const void *source, float *result, long count);
    void (*decode_doubles)(uint32_t type, const void *source, double *result, long count);
    void (*encode)(uint32_t type, const float *source, void *result, long count);
} QuantsCodecs;

/// Instruction sets that there are conversions for, best first; the last is what the compiler takes for granted.
enum { QUANTS_INSTRUCTION_SETS = 3 };

/// The conversions for the instruction set of this index, or null if the machine has not got it.
const QuantsCodecs *_Nullable quants_codecs_at(long index);

/// Decodes `count` elements, which are whole blocks, as the `gguf` Python package does, bit for bit, where it knows
/// the type, else as ggml does. Numbers that a float cannot hold are rounded to the nearest.
void quants_decode(uint32_t type, const void *source, float *result, long count);

/// As above, to doubles: F64, I32 and I64 lose less, the others are the same numbers.
void quants_decode_doubles(uint32_t type, const void *source, double *result, long count);

/// Encodes `count` floats, which fill whole blocks of a quantised type.
///
/// Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, TQ1_0, TQ2_0 and MXFP4 become what the `gguf` Python package makes of them, Q1_0,
/// Q2_0, Q8_1 and NVFP4 what ggml does, bit for bit. For the others there is no one way: scales are searched for the
/// least squared error, and where only some combinations of values exist, the nearest of these is taken.
void quants_encode(uint32_t type, const float *source, void *result, long count);

/// The combinations of values, of 8 elements in 2 bits or 4 elements in 3 bits each, the first lowest, that the
/// indices in blocks of this type stand for; null where a type has none.
const uint16_t *_Nullable quants_grid(uint32_t type, long *count);

#pragma clang assume_nonnull end
