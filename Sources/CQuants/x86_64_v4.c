#if defined(__x86_64__)
#include <stdint.h>
#include <string.h>

#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("arch=x86-64-v4"))), apply_to = function)
#define CODECS quants_codecs_x86_64_v4
#include "Codecs.h"
#pragma clang attribute pop
#endif
