#include "CKernels.h"
#include <math.h>
#include <string.h>

#define LANES 4
#if defined(__aarch64__)
#define TILE_ROWS 4
#define TILE_SUMS 16
#define KERNELS_NAME "NEON"
#else
#define TILE_ROWS 2
#define TILE_SUMS 8
#if defined(__x86_64__)
#define KERNELS_NAME "SSE2"
#else
#define KERNELS_NAME "portable vectors"
#endif
#endif
#define KERNELS cpu_kernels_portable
#include "Kernels.h"
