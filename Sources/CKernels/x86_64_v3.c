#if defined(__x86_64__)
#include "CKernels.h"
#include <immintrin.h>
#include <math.h>
#include <string.h>

#pragma clang attribute push(__attribute__((target("arch=x86-64-v3"))), apply_to = function)
#define LANES 8
#define TILE_ROWS 3
#define TILE_SUMS 12
#define KERNELS cpu_kernels_x86_64_v3
#define KERNELS_NAME "AVX2"
#include "Kernels.h"
#pragma clang attribute pop
#endif
