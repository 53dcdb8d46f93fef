// How the blocks of each quantised type lie in memory. Source: ggml's `ggml-common.h`, the `gguf` package.
#pragma once

#include <stdint.h>

/// Numbers of several bytes: little-endian, at any address.
typedef struct { uint8_t bytes[2]; } LittleHalf;
typedef struct { uint8_t bytes[2]; } Little16;
typedef struct { uint8_t bytes[4]; } Little32;

// Blocks of 32 (Q1_0: 128, Q2_0: 64) with one scale. Byte i of 4-bit numbers holds elements i and, above it,
// i + 16. The fifth bits of Q5 are bits of one number, by element. An element of Q4_0 is scale · (number − 8), of
// Q4_1 scale · number + minimum; of Q1_0 ± scale, of Q2_0 scale · (number − 1).
typedef struct { LittleHalf scale; uint8_t quants[16]; } BlockQ1_0, BlockQ2_0, BlockQ4_0;
typedef struct { LittleHalf scale, minimum; uint8_t quants[16]; } BlockQ4_1;
typedef struct { LittleHalf scale; Little32 fifths; uint8_t quants[16]; } BlockQ5_0;
typedef struct { LittleHalf scale, minimum; Little32 fifths; uint8_t quants[16]; } BlockQ5_1;
typedef struct { LittleHalf scale; int8_t quants[32]; } BlockQ8_0;
/// `sum` is the scale times the sum of the numbers.
typedef struct { LittleHalf scale, sum; int8_t quants[32]; } BlockQ8_1;

// Blocks of 256, in groups of 16 or 32 that have scales (and minima) of their own in units of the block's.

/// Groups of 16: low halves scales, high halves minima. Byte 32c + i of 2-bit numbers: elements 128c + 32j + i.
typedef struct { uint8_t scales[16], quants[64]; LittleHalf scale, minimum; } BlockQ2_K;
/// As Q2_K with a third bit: bit j of `high[i]` is element 32j + i; where it is clear, 4 is subtracted. Scales have 6
/// bits, minus 32: the low four in bytes 0 ... 7 as above, the high two in 8 ... 11.
typedef struct { uint8_t high[32], quants[64], scales[12]; LittleHalf scale; } BlockQ3_K;
/// Groups of 32, two in 32 bytes: the low and the high halves. Eight scales and minima of 6 bits: those of the first
/// four groups in bytes 0 ... 3 and 4 ... 7; of the others, the low four bits in 8 ... 11, and the high two above the
/// first ones'.
typedef struct { LittleHalf scale, minimum; uint8_t scales[12], quants[128]; } BlockQ4_K;
/// As Q4_K; bit j of `high[i]` is the fifth of element 32j + i.
typedef struct { LittleHalf scale, minimum; uint8_t scales[12], high[32], quants[128]; } BlockQ5_K;
/// Groups of 16. Of each half: byte i of 64 holds elements i and i + 64, byte i of 32 the upper two bits of
/// i, i + 32, i + 64 and i + 96; minus 32.
typedef struct { uint8_t low[128], high[64]; int8_t scales[16]; LittleHalf scale; } BlockQ6_K;
/// A float scale; `sums` of every 16 numbers.
typedef struct { Little32 scale; int8_t quants[256]; Little16 sums[16]; } BlockQ8_K;

/// Ternary: five digits base 3 a byte, as a fraction of 256 with the first digit on top. Bytes 0 ... 31 hold
/// elements i + 32j, 32 ... 47 elements 160 + i + 16j, `last` (four digits) elements 240 + i + 4j.
typedef struct { uint8_t quants[48], last[4]; LittleHalf scale; } BlockTQ1_0;
typedef struct { uint8_t quants[64]; LittleHalf scale; } BlockTQ2_0;

// Indices into a grid of combinations, and signs: seven bits, the eighth makes their number even, or all eight.

/// A group of 32: four indices, then four times seven signs and a scale of 4 bits.
typedef struct { LittleHalf scale; struct { uint8_t indices[4]; Little32 signs; } groups[8]; } BlockIQ2_XXS;
/// Eight elements: an index of nine bits and seven signs. Scales of 16 elements.
typedef struct { LittleHalf scale; Little16 quants[32]; uint8_t scales[8]; } BlockIQ2_XS;
/// Ten bits of index: `high` holds the upper two of four eights.
typedef struct { LittleHalf scale; uint8_t indices[32], signs[32], high[8], scales[8]; } BlockIQ2_S;
/// Four elements an index.
typedef struct { LittleHalf scale; uint8_t indices[64]; Little32 signs[8]; } BlockIQ3_XXS;
/// Nine bits of index; scales of 32 elements.
typedef struct { LittleHalf scale; uint8_t indices[64], high[8], signs[32], scales[4]; } BlockIQ3_S;
/// A group of 32: four indices of eleven bits, their upper three in `high`, then a scale of 3 bits and a shift.
typedef struct { LittleHalf scale; uint8_t indices[32]; Little16 high[8]; } BlockIQ1_S;
/// Sixteen elements: two indices, their upper three bits and shifts in a byte of `high`. Scales of 3 bits, four in a
/// number; its upper four bits are a quarter of the block's scale.
typedef struct { uint8_t indices[32], high[16]; Little16 scales[4]; } BlockIQ1_M;

// Four bits that stand for values of a table.

typedef struct { LittleHalf scale; uint8_t quants[16]; } BlockIQ4_NL;
/// Groups of 32, each as a block of IQ4_NL; scales of 6 bits, minus 32: four low bits, two high ones.
typedef struct { LittleHalf scale; Little16 high; uint8_t low[4], quants[128]; } BlockIQ4_XS;
/// The scale is 2^(exponent − 128).
typedef struct { uint8_t exponent, quants[16]; } BlockMXFP4;
/// Four groups of 16, each with a scale in E4M3 (half of it).
typedef struct { uint8_t scales[4], quants[32]; } BlockNVFP4;
