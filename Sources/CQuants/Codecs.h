// All conversions, for the instruction set of the file that includes this.

#include "CQuants.h"
#include "Decoders.h"
#include "Encoders.h"

/// Elements of the largest block.
enum { LARGEST_BLOCK = 256 };

/// Bytes of so many elements; 0 for plain numbers.
static long block_bytes(uint32_t type) {
    switch (type) {
#define CASE(name, Block, elements, decode_block) case QUANTS_##name: return LARGEST_BLOCK / elements * sizeof(Block);
    QUANTS_BLOCKS(CASE)
#undef CASE
    default: return 0;
    }
}

#define WIDEN(Bits, Number)                                                \
    for (long i = 0; i < count; i++) {                                     \
        const Bits bits = (Bits)little_bits(source, i, sizeof(Bits));      \
        Number number;                                                     \
        memcpy(&number, &bits, sizeof number);                             \
        result[i] = (double)number;                                        \
    }

static void decode_doubles(uint32_t type, const void *source, double *result, long count) {
    switch (type) {
    case QUANTS_F64: WIDEN(uint64_t, double) return;
    case QUANTS_I64: WIDEN(uint64_t, int64_t) return;
    case QUANTS_I32: WIDEN(uint32_t, int32_t) return;
    default: break;
    }
    const long step = number_bytes(type) ? LARGEST_BLOCK * number_bytes(type) : block_bytes(type);
    float part[LARGEST_BLOCK];
    for (long first = 0; first < count; first += LARGEST_BLOCK, source = (const char *)source + step) {
        const long some = count - first < LARGEST_BLOCK ? count - first : LARGEST_BLOCK;
        decode_elements(type, source, part, some);
        for (long i = 0; i < some; i++) result[first + i] = part[i];
    }
}

const QuantsCodecs CODECS = {decode_elements, decode_doubles, encode_elements};
