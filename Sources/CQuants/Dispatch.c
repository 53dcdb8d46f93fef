#include "CQuants.h"

extern const QuantsCodecs quants_codecs_portable;

#if defined(__x86_64__)
extern const QuantsCodecs quants_codecs_x86_64_v3, quants_codecs_x86_64_v4;
#endif

const QuantsCodecs *quants_codecs_at(long index) {
    switch (index) {
#if defined(__x86_64__)
    case 0: return __builtin_cpu_supports("x86-64-v4") ? &quants_codecs_x86_64_v4 : 0;
    case 1: return __builtin_cpu_supports("x86-64-v3") ? &quants_codecs_x86_64_v3 : 0;
#endif
    case QUANTS_INSTRUCTION_SETS - 1: return &quants_codecs_portable;
    default: return 0;
    }
}

static const QuantsCodecs *best(void) {
    for (long index = 0; index < QUANTS_INSTRUCTION_SETS - 1; index++) {
        const QuantsCodecs *codecs = quants_codecs_at(index);
        if (codecs) return codecs;
    }
    return &quants_codecs_portable;
}

void quants_decode(uint32_t type, const void *source, float *result, long count) {
    best()->decode(type, source, result, count);
}

void quants_decode_doubles(uint32_t type, const void *source, double *result, long count) {
    best()->decode_doubles(type, source, result, count);
}

void quants_encode(uint32_t type, const float *source, void *result, long count) {
    best()->encode(type, source, result, count);
}
