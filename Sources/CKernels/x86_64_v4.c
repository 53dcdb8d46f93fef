#if defined(__x86_64__)
#include "CKernels.h"
#include <immintrin.h>
#include <math.h>
#include <string.h>

#pragma clang attribute push(__attribute__((target("arch=x86-64-v4"))), apply_to = function)
#define LANES 16
#define TILE_ROWS 6
#define TILE_SUMS 24
#define KERNELS cpu_kernels_x86_64_v4
#define KERNELS_NAME "AVX-512"
#include "Kernels.h"
#pragma clang attribute pop
#endif
