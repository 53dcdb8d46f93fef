#if defined(__x86_64__)
#include <stdint.h>
#include <string.h>

#pragma STDC FP_CONTRACT OFF
// Without a width the compiler would split vectors of sixteen floats in halves.
#pragma clang attribute push(__attribute__((target("arch=x86-64-v4"), min_vector_width(512))), apply_to = function)
#define CODECS quants_codecs_x86_64_v4
#include "Codecs.h"
#pragma clang attribute pop
#endif
